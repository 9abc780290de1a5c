"""What an sdist must contain so that the image can be built from it: for every build backend."""

from __future__ import annotations

import contextlib
import gzip
import os
import posixpath
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hatch_romfs.collect.manifest import LOCK, manifest_sources
from hatch_romfs.collect.sources import read_sources
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.paths import encode_name, join
from hatch_romfs.tree import Special, Symlink, kind_of, walk
from romfs_manifest.shared.atomic import replace_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project
    from hatch_romfs.tree import Node


def check_inside(project: Project) -> None:
    """Refuse sources outside the project, which an sdist cannot contain. Raises SettingsError."""
    root = project.root.resolve()
    for settings in project.images.values():
        paths = [source.path for source in (*settings.sources, *settings.lib)]
        files = [*([settings.base] if settings.base else ()), *_bundle_files(settings)]
        for path in (*paths, *files):
            normal = _normal(path)
            is_link_out = path in files and not Path(os.path.realpath(root / path)).is_relative_to(root)
            if normal == ".." or normal.startswith("../") or Path(normal).is_absolute() or is_link_out:
                raise SettingsError(
                    f"tool.romfs: {path} is outside the project, so an sdist cannot contain it",
                    hint="Move it into the project, or build only the wheel.",
                )


def complete_sdist(archive: Path, project: Project) -> None:
    """Replace an sdist with one that also has the image's sources, if some are missing. Raises RomfsError.

    The files are added to the archive instead of the list that the build backend makes it from: a backend can also
    treat what is on that list as data of the packages, and put it into wheels.
    """
    check_inside(project)
    top = archive.name.removesuffix(".tar.gz")
    needed = {f"{top}/{path}": found for path, found in _needed(project).items()}
    try:
        with (
            replace_atomically(archive) as temporary,
            tarfile.open(archive) as original,
            Path(temporary).open("wb") as file,
            _compress(file, original) as copy,
        ):
            names = original.getnames()
            for member in original:
                _, node = needed.get(member.name, (None, None))
                if member.name in needed and not isinstance(node, Symlink) and _leads_outside(member, names):
                    continue  # its content is added instead
                needed.pop(member.name, None)
                copy.addfile(member, original.extractfile(member) if member.isreg() else None)
            for name, (disk, node) in needed.items():
                path = disk if isinstance(node, Symlink) else os.path.realpath(disk)
                copy.add(path, name, recursive=False, filter=_anonymize)
    except OSError as error:
        raise BuildError(f"cannot complete {archive.name}: {error}") from error


def _leads_outside(member: tarfile.TarInfo, names: Sequence[str]) -> bool:
    """Return whether a member is a link to what its archive, with these names, does not have."""
    if not member.issym():
        return False
    target = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
    return not any(name == target or name.startswith(f"{target}/") for name in names)


@contextlib.contextmanager
def _compress(file: BinaryIO, original: tarfile.TarFile) -> Iterator[tarfile.TarFile]:
    """Yield an archive to write to ``file``, of the time of the newest file in the original one."""
    newest = max((int(member.mtime) for member in original.getmembers()), default=0)
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=newest) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        yield archive


def _anonymize(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove what an sdist must not tell about the machine."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _needed(project: Project) -> dict[str, tuple[Path, Node | None]]:
    """Return the path on disk of each folder and file of the sources, by its path in the project."""
    needed: dict[str, tuple[Path, Node | None]] = {}
    root = project.root.resolve()
    for settings in project.images.values():
        _add_sources(needed, settings, project.root)
        others = manifest_sources(settings, root) | {root / path for path in _bundle_files(settings)}
        if (root / LOCK).exists():
            others.add(root / LOCK)
        if settings.base:
            needed[_normal(settings.base)] = project.root / settings.base, None
        for path in sorted(others):
            if path.is_relative_to(root):
                needed[path.relative_to(root).as_posix()] = path, None
    needed.pop("", None)
    return needed


def _add_sources(needed: dict[str, tuple[Path, Node | None]], settings: Settings, root: Path) -> None:
    for _, source, tree, _excluded, _layer in read_sources(settings, root):
        folder = _normal(source.path)
        for path, node in [("", tree), *walk(tree)]:
            if isinstance(node, Special):
                raise BuildError(f"{node.origin} is a {kind_of(node)}, which an sdist cannot contain")
            here = join("" if folder == "." else folder, path).rstrip("/")
            needed[here] = root / os.fsdecode(encode_name(here)), node


def _bundle_files(settings: Settings) -> list[str]:
    """Return the paths of the files that the bundle is made of, relative to the project."""
    bundle = settings.bundle
    named = (bundle.firmware, bundle.partition_table) if bundle else ()
    return [_normal(path) for path in named if path]


def _normal(path: str) -> str:
    """Return a path that is relative to the project, without parts such as ``..`` that can be resolved."""
    return Path(os.path.normpath(path)).as_posix()
