"""What an sdist must hold so that the image can be built from it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.collect import LOCK, manifest_sources, read_sources
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.tree import Special, Symlink, join, kind_of, walk

if TYPE_CHECKING:
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project
    from hatch_romfs.tree import Node


def complete(archive: Path, project: Project) -> Path:
    """Write a copy of an sdist, with what it lacks of the image's sources, beside it; raises RomfsError.

    Files are added to the archive and not to the list that a build backend makes it by: setuptools would also take
    what is on that list for data of the packages, and put it into wheels.
    """
    top = archive.name.removesuffix(".tar.gz")
    needed = {f"{top}/{path}": found for path, found in _needed(project).items()}
    whole = archive.with_suffix(".whole")
    try:
        with tarfile.open(archive) as before, tarfile.open(whole, "w:gz") as after:
            for member in before:
                needed.pop(member.name, None)
                after.addfile(member, before.extractfile(member) if member.isreg() else None)
            for name, (disk, node) in needed.items():
                after.add(disk if isinstance(node, Symlink) else os.path.realpath(disk), name, recursive=False)
    except OSError as error:
        raise BuildError(f"cannot complete {archive.name}: {error}") from error
    return whole


def _needed(project: Project) -> dict[str, tuple[Path, Node | None]]:
    """Return where on disk each folder and file of the sources is, by its path in the project."""
    needed: dict[str, tuple[Path, Node | None]] = {}
    root = project.root.resolve()
    for settings in project.images.values():
        _add_sources(needed, settings, project.root)
        named = {path for path in (root / LOCK,) if path.exists()} | manifest_sources(settings, root)
        for path in sorted(named):
            if path.is_relative_to(root):
                needed[path.relative_to(root).as_posix()] = path, None
    needed.pop("", None)
    return needed


def _add_sources(needed: dict[str, tuple[Path, Node | None]], settings: Settings, root: Path) -> None:
    for _, source, tree in read_sources(settings, root):
        folder = Path(os.path.normpath(source.path)).as_posix()
        if folder == ".." or folder.startswith("../") or Path(folder).is_absolute():
            raise SettingsError(
                f"tool.romfs: {source.path} lies outside of the project, and its sdist cannot carry it",
                hint="Move the folder into the project, or build only the wheel.",
            )
        for path, node in [("", tree), *walk(tree)]:
            if isinstance(node, Special):
                raise BuildError(f"{node.origin} is a {kind_of(node)}, which an sdist cannot carry")
            here = join("" if folder == "." else folder, path).rstrip("/")
            needed[here] = root / os.fsdecode(here.encode()), node
