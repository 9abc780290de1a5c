"""Files and folders that manifests name: found, held to their root, and read within bounds."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.targets import MAX_TARGET, target_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAMES = 500_000
"""Names that one evaluation sees in folders, at most, and each folder is one more."""

MAX_FILE = 16 * 1024 * 1024
"""Bytes of a file for an image, at most."""


class Found(NamedTuple):
    """A file: where it goes, and where it is."""

    target: str
    source: Path


class Listed(NamedTuple):
    """One name in a folder, as text whatever the locale is; ``linked`` says that it may lead elsewhere."""

    name: str
    path: Path
    is_folder: bool
    is_file: bool
    linked: bool


class Disk:
    """Looks into folders, until MAX_NAMES were seen."""

    def __init__(self) -> None:
        self._left = MAX_NAMES

    def listed(self, folder: Path) -> list[Listed]:
        """Return what is in ``folder``, sorted by name; raises ManifestError."""
        try:
            with os.scandir(folder) as found:
                listed = sorted(map(_listed, islice(found, self._left + 1)))
        except OSError as error:
            raise _unreadable(folder, error) from error
        self._left -= len(listed) + 1
        if self._left < 0:
            raise ManifestError(f"folders have more than {MAX_NAMES:,} names in them", hint="Name the folders needed.")
        return listed

    def files(self, root: Path, below: str, suffixes: tuple[str, ...]) -> Iterator[Found]:
        """Yield the files in ``root``/``below`` and its folders that have one of ``suffixes``, by target.

        ``below`` may be empty. A link to a folder that it is in adds nothing; one that leads out of ``root`` is
        refused.
        """
        start = inside(root, below) if below else root
        if not is_folder(start):
            raise ManifestError(f"there is no folder {start}", hint="Name a folder that is there.")
        yield from self._walk(root, start, f"{below}/" if below else "", (os.path.realpath(start),), suffixes)

    def _walk(
        self, root: Path, folder: Path, above: str, real: tuple[str, ...], suffixes: tuple[str, ...]
    ) -> Iterator[Found]:
        """Walk ``folder``, whose files' targets begin with ``above``; ``real`` are its real path and those above it."""
        if len(above) > MAX_TARGET:
            raise ManifestError(f"folders are nested too deep in {folder}", hint="Leave them out.")
        for name, path, is_folder, is_file, linked in self.listed(folder):
            target = above + name
            if is_folder:
                leads = os.path.realpath(path) if linked else os.path.join(real[-1], path.name)  # noqa: PTH118 - text
                if leads in real:
                    continue
                if linked:  # it must not lead out
                    inside(root, target)
                yield from self._walk(root, path, f"{target}/", (*real, leads), suffixes)
            elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122 - no path of this system
                yield Found(target, path if is_file and not linked and checked(target) else file_in(root, target))


def checked(target: str) -> str:
    """Return ``target``; raises ManifestError unless it can be a path in an image."""
    if problem := target_problem(target):
        raise ManifestError(f"{target!r} {problem}", hint="It is a path below a folder, such as 'a/b.py'.")
    return target


def inside(root: Path, target: str) -> Path:
    """Return ``root``/``target``, which is looked at only after the target was checked.

    Raises ManifestError for a target that cannot be in an image, and where a link leads out of ``root``.
    """
    path = root / native(checked(target))
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise ManifestError(
            f"{path} is a link that leads out of {root}, to {real}", hint="Copy the file, or name its own folder."
        )
    return path


def is_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder; a name that is too long is none, whereas Path.is_dir() may raise OSError."""
    return os.path.isdir(path)  # noqa: PTH112


def file_in(root: Path, target: str) -> Path:
    """Return the path of the file ``target`` in ``root``; raises ManifestError unless it is there, and stays there."""
    path = inside(root, target)
    if not os.path.isfile(path):  # noqa: PTH113 - as is_folder()
        hint = "It is a folder." if is_folder(path) else "Name a file that is there."
        raise ManifestError(f"there is no file {path}", hint=hint)
    return path


def native(text: str) -> str:
    """Return a path of a manifest, which is UTF-8, as this system's calls take it; raises ManifestError."""
    if "\0" in text:
        raise ManifestError(f"the path {text!r} has a NUL in it", hint="Remove it.")
    try:
        return os.fsdecode(text.encode(errors="surrogateescape"))
    except UnicodeError:
        raise ManifestError(f"the path {text!r} is not valid UTF-8", hint="Mend it.") from None


def read(path: Path, limit: int = MAX_FILE) -> bytes:
    """Return the bytes of a file; raises ManifestError where it is none, or has more than ``limit`` bytes."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise ManifestError(f"{path} is not a file", hint="Name a file.")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > limit:
        raise ManifestError(f"{path} has more than {limit:,} bytes", hint="Leave it out, or split it.")
    return data


def _listed(entry: os.DirEntry[str]) -> Listed:
    # A name is its bytes, whatever encoding the locale takes them for; bytes that are not UTF-8 make no target.
    name = os.fsencode(entry.name).decode(errors="surrogateescape")
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:  # a link that cannot be followed
        is_folder = is_file = False
    # Windows has junctions too, which are links by another name.
    return Listed(name, Path(entry.path), is_folder, is_file, entry.is_symlink() or os.name == "nt")


def _unreadable(path: Path, error: OSError) -> ManifestError:
    return ManifestError(f"cannot read {path}: {error.strerror}", hint="Is it there, and may it be read?")
