"""One folder on disk to entries of a tree: what is in it, what is left out, what cannot be taken."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError
from hatch_romfs.tree import MAX_DEPTH, Directory, File, OnDisk, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.settings.patterns import Match
    from hatch_romfs.tree import Node

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """A source folder, and how it is named in messages.

    ``exclude`` and ``include`` are asked about paths relative to the folder, a directory's ending in ``/``.
    """

    root: Path
    shown: str
    exclude: Match
    include: Match | None

    def read(self) -> Directory:
        """Return the folder's content as a tree; raises BuildError for what cannot be in an image."""
        return self._directory(self.root, "", (os.path.realpath(self.root),))

    def _directory(self, folder: Path, path: str, above: tuple[str, ...]) -> Directory:
        """Read one directory; ``above`` are the real paths of it and all that it is in."""
        if len(above) > MAX_DEPTH + 1:
            raise BuildError(f"{self._where(path)}: folders are nested more than {MAX_DEPTH} deep")
        entries: dict[str, Node] = {}
        for entry in self._entries(folder, path):
            name = self._name(entry, path)
            here = f"{path}{name}"
            node = self._node(entry, here, above)
            if node is not None:
                entries[name] = node
        return Directory(entries)

    def _entries(self, folder: Path, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                yield from found
        except OSError as error:
            raise BuildError(f"cannot read {self._where(path)}: {error.strerror}") from error

    def _name(self, entry: os.DirEntry[str], path: str) -> str:
        """Return the entry's name from its bytes, whatever encoding the locale takes them for."""
        try:
            name = os.fsencode(entry.name).decode()
        except UnicodeDecodeError:
            shown = os.fsencode(entry.name).decode(errors="backslashreplace")
            raise BuildError(
                f"{self._where(path)}: the name {shown!r} is not valid UTF-8",
                hint="Rename it, or exclude it.",
            ) from None
        if problem := name_problem(name):
            raise BuildError(f"{self._where(path)}: {problem}")
        return name

    def _node(self, entry: os.DirEntry[str], here: str, above: tuple[str, ...]) -> Node | None:
        """Return what ``entry`` is, or None where it is left out."""
        try:
            is_directory = entry.is_dir()
        except OSError as error:
            raise BuildError(f"cannot follow {self._where(here)}: {error.strerror}", hint="Exclude it.") from error
        if self.exclude(f"{here}/" if is_directory else here):
            return None
        real = self._followed(entry, here) if entry.is_symlink() else f"{above[-1]}{os.sep}{entry.name}"
        if is_directory:
            if real in above:
                raise BuildError(f"{self._where(here)} is a link to a folder that it is in: a loop", hint="Exclude it.")
            directory = self._directory(Path(entry.path), f"{here}/", (*above, real))
            # A folder that is empty is kept, one of which `include` takes nothing is not.
            return directory if directory.entries or self.include is None else None
        if self.include is not None and not self.include(here):
            return None
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = _SPECIAL.get(stat.S_IFMT(status.st_mode), "neither file nor folder")
            raise BuildError(f"{self._where(here)} is {kind}, which an image cannot hold", hint="Exclude it.")
        return File(OnDisk(Path(entry.path), status.st_size, status.st_mtime_ns), self._where(here))

    def _followed(self, entry: os.DirEntry[str], here: str) -> str:
        """Return where a link leads; it must stay in the source folder."""
        real = os.path.realpath(entry.path)
        if not Path(real).is_relative_to(os.path.realpath(self.root)):
            raise BuildError(
                f"{self._where(here)} is a link that leads out of {self.shown}, to {real}",
                hint="Copy the file, exclude the link, or add the folder that it leads to as a source.",
            )
        if not os.path.exists(real):  # noqa: PTH110
            raise BuildError(f"{self._where(here)} is a link to nothing", hint="Exclude it, or mend it.")
        return real

    def _where(self, path: str) -> str:
        return f"{self.shown}/{path}".rstrip("/")
