"""What an sdist must contain so that the image can be built from it: for both build front ends."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_romfs.collect.manifest import LOCK, manifest_sources
from hatch_romfs.collect.sources import read_sources
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.paths import encode_name, join
from hatch_romfs.tree import Special, Symlink, kind_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project
    from hatch_romfs.tree import Node


def sdist_patterns(images: Iterable[Settings], root: Path) -> list[str]:
    """Return gitignore patterns of what an sdist needs even if Git ignores it. Raises BuildError."""
    needed = {f"/{LOCK}"}
    root = root.resolve()
    for settings in images:
        for source in (*settings.sources, *settings.lib):
            folder = PurePosixPath(source.path)
            if ".." not in folder.parts and not folder.is_absolute():
                needed.add(f"/{_escape(folder.as_posix())}/**")
        for path in manifest_sources(settings, root):
            if path.is_relative_to(root):
                needed.add(f"/{_escape(path.relative_to(root).as_posix())}")
    return sorted(needed)


def complete_sdist(archive: Path, project: Project) -> Path:
    """Write a copy of an sdist beside it that also has the image's sources, and return its path. Raises RomfsError.

    The files are added to the archive instead of the list that setuptools makes it from: setuptools would also treat
    what is on that list as data of the packages, and put it into wheels.
    """
    top = archive.name.removesuffix(".tar.gz")
    needed = {f"{top}/{path}": found for path, found in _needed(project).items()}
    completed = archive.with_suffix(".complete")
    try:
        with tarfile.open(archive) as original, tarfile.open(completed, "w:gz") as copy:
            for member in original:
                needed.pop(member.name, None)
                copy.addfile(member, original.extractfile(member) if member.isreg() else None)
            for name, (disk, node) in needed.items():
                copy.add(disk if isinstance(node, Symlink) else os.path.realpath(disk), name, recursive=False)
    except OSError as error:
        raise BuildError(f"cannot complete {archive.name}: {error}") from error
    return completed


def _escape(path: str) -> str:
    """Return a gitignore pattern that matches only this path."""
    return re.sub(r"([*?\[\]\\!# ])", r"\\\1", path)


def _needed(project: Project) -> dict[str, tuple[Path, Node | None]]:
    """Return the path on disk of each folder and file of the sources, by its path in the project."""
    needed: dict[str, tuple[Path, Node | None]] = {}
    root = project.root.resolve()
    for settings in project.images.values():
        _add_sources(needed, settings, project.root)
        others = manifest_sources(settings, root)
        if (root / LOCK).exists():
            others.add(root / LOCK)
        for path in sorted(others):
            if path.is_relative_to(root):
                needed[path.relative_to(root).as_posix()] = path, None
    needed.pop("", None)
    return needed


def _add_sources(needed: dict[str, tuple[Path, Node | None]], settings: Settings, root: Path) -> None:
    for _, source, tree, _excluded in read_sources(settings, root):
        folder = Path(os.path.normpath(source.path)).as_posix()
        if folder == ".." or folder.startswith("../") or Path(folder).is_absolute():
            raise SettingsError(
                f"tool.romfs: {source.path} is outside the project, so an sdist cannot contain it",
                hint="Move the folder into the project, or build only the wheel.",
            )
        for path, node in [("", tree), *walk(tree)]:
            if isinstance(node, Special):
                raise BuildError(f"{node.origin} is a {kind_of(node)}, which an sdist cannot contain")
            here = join("" if folder == "." else folder, path).rstrip("/")
            needed[here] = root / os.fsdecode(encode_name(here)), node
