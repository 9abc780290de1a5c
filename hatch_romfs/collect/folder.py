"""One folder on disk to a tree: what is in it, what is excluded, and what an image cannot contain."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BuildError
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH, decode_name, encode_name, join, name_problem, show_name
from hatch_romfs.tree import Directory, DiskContent, File, Special, Symlink

if TYPE_CHECKING:
    from hatch_romfs.settings.patterns import Match
    from hatch_romfs.tree import Node

_SPECIAL = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


EXECUTABLE = 0o111
"""Any of these bits of a mode makes a file executable, as in genromfs."""


class Keep(NamedTuple):
    """What a tree keeps of a folder besides names and data: special files, hard links, and two options.

    ``inodes`` are the nodes that can have further names, by the numbers of their device and inode.
    """

    symlinks: bool
    modes: bool
    inodes: dict[tuple[int, int], Node]


class Folder(NamedTuple):
    """A source folder, and its name in messages.

    ``below`` is its path relative to the project, or None if it depends on the machine. ``exclude`` and ``include``
    are called with paths relative to the folder, those of directories ending in ``/``. Without ``keep`` special files
    are refused, links are followed, and names must be UTF-8. What ``built_in`` excludes is added to ``excluded``.
    """

    root: Path
    shown: str
    exclude: Match
    include: Match | None
    keep: Keep | None = None
    below: str | None = None
    built_in: Match | None = None
    excluded: list[str] | None = None

    def read(self) -> Directory:
        """Return the content of the folder as a tree. Raises BuildError for what an image cannot contain."""
        return self._directory(self.root, "", (os.path.realpath(self.root),))

    def is_excluded(self, path: str) -> bool:
        """Return whether patterns exclude ``path``, or a folder that contains it."""
        parts = path.split("/")
        above = ("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
        if any(map(self.exclude, above)) or self.exclude(path):
            return True
        return self.include is not None and not self.include(path)

    def _directory(self, folder: Path, path: str, above: tuple[str, ...]) -> Directory:
        """Read one directory; ``above`` are the real paths of it and of its parents."""
        if len(above) > MAX_DEPTH + 1:
            raise BuildError(f"{self._where(path)}: folders are nested more than {MAX_DEPTH} deep")
        try:
            executable = not self._keeps_modes or bool(folder.stat().st_mode & EXECUTABLE)
            with os.scandir(folder) as found:
                listed = sorted(found, key=lambda entry: entry.name)  # the first name of a hard link counts
        except OSError as error:
            raise BuildError(f"cannot read {self._where(path)}: {error.strerror}") from error
        entries: dict[str, Node] = {}
        for entry in listed:
            # A name is its bytes, whatever the encoding of the locale.
            encoded = os.fsencode(entry.name)
            here = path + decode_name(encoded)
            try:
                is_directory = entry.is_dir(follow_symlinks=self._follows)
            except OSError as error:
                if self._excludes(here) or self._excludes(f"{here}/"):
                    continue
                raise BuildError(f"cannot follow {self._where(here)}: {error.strerror}", hint="Exclude it.") from error
            if self._excludes(f"{here}/" if is_directory else here):
                continue
            name = self._name(encoded, path)
            node = self._subdirectory(entry, here, above) if is_directory else self._leaf(entry, here)
            if node is not None:
                entries[name] = node
        return Directory(entries, executable=executable)

    def _excludes(self, path: str) -> bool:
        """Return whether patterns exclude a path, and note it if a built-in pattern does."""
        if not self.exclude(path):
            return False
        if self.excluded is not None and self.built_in is not None and self.built_in(path):
            self.excluded.append(f"{self.shown}/{show_name(path)}")
        return True

    def _name(self, encoded: bytes, path: str) -> str:
        name = decode_name(encoded)
        problem = name_problem(name, any_bytes=self.keep is not None)
        if problem and name_problem(name, any_bytes=True) is None:
            raise BuildError(
                f"{self._where(path)}: the name {show_name(name)!r} is not valid UTF-8",
                hint="Rename it, or exclude it.",
            )
        if problem is None and len(encode_name(path)) + len(encoded) > MAX_PATH:
            problem = f"a path is longer than {MAX_PATH} bytes"
        if problem:
            raise BuildError(f"{self._where(path)}: {problem}")
        return name

    def _subdirectory(self, entry: os.DirEntry[str], here: str, above: tuple[str, ...]) -> Directory | None:
        # Windows also has junctions, which are a kind of link.
        linked = entry.is_symlink() or os.name == "nt"
        real = self._followed(entry, here) if linked else f"{above[-1]}{os.sep}{entry.name}"
        if real in above:
            raise BuildError(f"{self._where(here)} is a link to a folder that contains it: a loop", hint="Exclude it.")
        directory = self._directory(Path(entry.path), f"{here}/", (*above, real))
        # An empty folder is kept, but not one in which `include` matches nothing.
        return directory if directory.entries or self.include is None else None

    def _leaf(self, entry: os.DirEntry[str], here: str) -> Node | None:
        """Return anything but a directory; several names of one inode get the same node."""
        if self.include is not None and not self.include(here):
            return None
        if entry.is_symlink() and self._follows:
            self._followed(entry, here)
        try:
            status = os.stat(entry.path, follow_symlinks=self._follows)  # noqa: PTH116 - there are many files
            if self.keep is None or status.st_nlink == 1:
                return self._node(entry, here, status)
            inode = status.st_dev, status.st_ino
            if inode not in self.keep.inodes:
                self.keep.inodes[inode] = self._node(entry, here, status)
        except OSError as error:
            raise BuildError(f"cannot read {self._where(here)}: {error.strerror}") from error
        return self.keep.inodes[inode]

    def _node(self, entry: os.DirEntry[str], here: str, status: os.stat_result) -> Node:
        kind, origin = stat.S_IFMT(status.st_mode), self._where(here)
        if kind == stat.S_IFREG:
            content = DiskContent(entry.path, status.st_size, status.st_mtime_ns)
            source = None if self.below is None else join(self.below, here)
            return File(content, origin, self._keeps_modes and bool(status.st_mode & EXECUTABLE), source=source)
        if self.keep is None or kind not in (*_SPECIAL, stat.S_IFLNK):
            what = f"a {_SPECIAL[kind]}" if kind in _SPECIAL else "neither a file nor a folder"
            raise BuildError(f"{origin} is {what}, which an image cannot contain", hint="Exclude it.")
        if kind == stat.S_IFLNK:
            return Symlink(self._target(entry), origin)
        return Special(_SPECIAL[kind], origin, os.major(status.st_rdev), os.minor(status.st_rdev))

    @staticmethod
    def _target(entry: os.DirEntry[str]) -> str:
        target = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - a Path would remove a final slash
        return decode_name(target).replace(os.sep, "/")

    @property
    def _follows(self) -> bool:
        return self.keep is None or not self.keep.symlinks

    @property
    def _keeps_modes(self) -> bool:
        return self.keep is not None and self.keep.modes

    def _followed(self, entry: os.DirEntry[str], here: str) -> str:
        """Return the target of a link, which must be inside the source folder."""
        real = os.path.realpath(entry.path)
        if not Path(real).is_relative_to(os.path.realpath(self.root)):
            raise BuildError(
                f"{self._where(here)} is a link to {real}, outside of {self.shown}",
                hint="Copy the file, exclude the link, or add its target's folder as a source.",
            )
        if not os.path.exists(real):  # noqa: PTH110
            raise BuildError(f"{self._where(here)} is a broken link", hint="Exclude it, or fix it.")
        return real

    def _where(self, path: str) -> str:
        return f"{self.shown}/{show_name(path)}".rstrip("/")
