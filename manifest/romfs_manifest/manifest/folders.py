"""Files and folders that manifests name: found within bounds, and only below the folders where they may be."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError, MissingFileError
from romfs_manifest.files import unreadable
from romfs_manifest.targets import MAX_TARGET, target_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_NAMES = 500_000
"""Maximum number of names in all folders that one evaluation reads; each folder counts as one more."""


class SourceFile(NamedTuple):
    """A file on disk and its path in the image."""

    target: str
    path: Path


class FolderEntry(NamedTuple):
    """A name in a folder. It is decoded as UTF-8 in every locale. ``may_be_link`` says that it may lead elsewhere."""

    name: str
    path: Path
    is_folder: bool
    is_file: bool
    may_be_link: bool


class FolderReader:
    """Reads folders. Links may lead to any place below the folder that is read, or below ``trusted`` folders."""

    def __init__(self, trusted: Iterable[Path] = ()) -> None:
        self._trusted = tuple(os.path.realpath(folder) for folder in trusted)
        self._names_left = MAX_NAMES

    def list(self, folder: Path) -> list[FolderEntry]:
        """Return the entries of ``folder``, sorted by name; raises ManifestError."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(map(_entry, islice(found, self._names_left + 1)))
        except OSError as error:
            raise unreadable(folder, error) from error
        self._names_left -= len(entries) + 1
        if self._names_left < 0:
            raise ManifestError(f"folders contain more than {MAX_NAMES:,} names", hint="Name smaller folders.")
        return entries

    def files(self, root: Path, below: str, suffixes: tuple[str, ...]) -> Iterator[SourceFile]:
        """Yield the files with one of ``suffixes`` in ``root``/``below`` and its folders, sorted by target.

        ``below`` may be empty. A link to one of the folders above it is skipped. Raises MissingFileError if the folder
        does not exist, and ManifestError for a link that leads elsewhere.
        """
        start = self.inside(root, below) if below else root
        if not is_folder(start):
            missing = MissingFileError(f"the folder {start} does not exist", hint="Name an existing folder.")
            missing.is_os_error = True
            raise missing
        yield from self._walk(root, start, f"{below}/" if below else "", (os.path.realpath(start),), suffixes)

    def _walk(
        self, root: Path, folder: Path, prefix: str, real: tuple[str, ...], suffixes: tuple[str, ...]
    ) -> Iterator[SourceFile]:
        """Walk ``folder``; targets begin with ``prefix``. ``real`` are the real paths of the folder and those above."""
        if len(prefix) > MAX_TARGET:
            raise ManifestError(f"folders are nested too deeply in {folder}", hint="Exclude them.")
        for name, path, is_directory, is_file, may_be_link in self.list(folder):
            target = prefix + name
            if is_directory:
                leads_to = os.path.realpath(path) if may_be_link else os.path.join(real[-1], path.name)  # noqa: PTH118 - text
                if leads_to in real:
                    continue
                if may_be_link:
                    self.inside(root, target)
                yield from self._walk(root, path, f"{target}/", (*real, leads_to), suffixes)
            elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122 - not a path of this system
                is_plain = is_file and not may_be_link
                yield SourceFile(target, path if is_plain and check_path(target) else self.file(root, target))

    def inside(self, root: Path, target: str) -> Path:
        """Return ``root``/``target``, without looking at the file system before the target is checked.

        Raises ManifestError for a target that cannot be in an image, and for a link that leads neither below ``root``
        nor below a trusted folder.
        """
        path = root / native_path(check_path(target))
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(folder) for folder in (os.path.realpath(root), *self._trusted)):
            raise ManifestError(
                f"{path} is a link that leads out of {root}, to {real}",
                hint="Copy the file, or name the folder that contains it as a variable or as a library.",
            )
        return path

    def file(self, root: Path, target: str) -> Path:
        """Return the path of the file ``target`` in ``root``; raises as ``inside``, and MissingFileError."""
        path = self.inside(root, target)
        if not os.path.isfile(path):  # noqa: PTH113 - as is_folder()
            hint = "It is a folder." if is_folder(path) else "Name an existing file."
            raise MissingFileError(f"the file {path} does not exist", hint=hint)
        return path


def check_path(target: str) -> str:
    """Return ``target``; raises ManifestError if it cannot be a path in an image."""
    if problem := target_problem(target):
        raise ManifestError(f"{target!r} {problem}", hint="Write a path below a folder, such as 'a/b.py'.")
    return target


def is_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder. Path.is_dir() would raise OSError for a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def absolute_path(path: str | Path) -> Path:
    """Return ``path`` from the root, without following links, which are checked elsewhere."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def variable_value(value: str | Path) -> str:
    """Return the text of a variable; the path of something that exists is relative to the current folder."""
    text = str(value)
    return str(absolute_path(text)) if os.path.exists(text) else text  # noqa: PTH110 - Path("") exists, "" does not


def manifest_path(path: Path) -> Path:
    """Return the manifest that ``path`` is or contains, as the one path by which it is known."""
    if is_folder(path):
        path /= "manifest.py"
    # A link to a manifest is a manifest of its own: what it names is beside the link.
    return Path(os.path.realpath(path.parent), path.name)


def folder_name(name: str) -> str:
    """Return the name of a folder without parts that mean nothing."""
    return "" if name in (".", "./") else name.removesuffix("/")


def native_path(text: str) -> str:
    """Return a path in a manifest, which is UTF-8, as this system's calls take it; raises ManifestError."""
    if "\0" in text:
        raise ManifestError(f"the path {text!r} contains a NUL character", hint="Remove it.")
    try:
        return os.fsdecode(text.encode(errors="surrogateescape"))
    except UnicodeError:
        raise ManifestError(f"the path {text!r} is not valid UTF-8", hint="Correct it.") from None


def _entry(entry: os.DirEntry[str]) -> FolderEntry:
    # A name is its bytes, however the locale decodes them. Bytes that are not UTF-8 cannot be a target.
    name = os.fsencode(entry.name).decode(errors="surrogateescape")
    try:
        is_directory, is_file = entry.is_dir(), entry.is_file()
    except OSError:  # a link that cannot be followed
        is_directory = is_file = False
    # Windows also has junctions, which is_symlink() does not report.
    return FolderEntry(name, Path(entry.path), is_directory, is_file, entry.is_symlink() or os.name == "nt")
