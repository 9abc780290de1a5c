"""One folder on disk to a tree: what is in it, what is excluded, and what an image cannot contain."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BuildError
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH, decode_name, encode_name, join, name_problem, show_name
from hatch_romfs.tree import Directory, DiskContent, File, Special, Symlink
from romfs_manifest.shared.opening import HAS_DESCRIPTORS, identity, open_folder, status_beneath

if TYPE_CHECKING:
    from hatch_romfs.settings.patterns import Match
    from hatch_romfs.tree import Layer, Node
    from romfs_manifest.shared.opening import Identity

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


class _Entry(NamedTuple):
    """What was in a directory while it was open.

    ``here`` is its path in the source folder, ``disk`` its path on disk, and ``real`` that path if links were followed.
    ``target`` is that of a link that is kept.
    """

    name: str
    here: str
    disk: str
    real: str | None
    status: os.stat_result
    target: str


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
    layer: Layer = "source"

    def read(self) -> Directory:
        """Return the content of the folder as a tree. Raises BuildError for what an image cannot contain."""
        return self._directory(str(self.root), "", (os.path.realpath(self.root),), None)

    def is_excluded(self, path: str) -> bool:
        """Return whether patterns exclude ``path``, or a folder that contains it."""
        parts = path.split("/")
        above = ("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
        if any(map(self.exclude, above)) or self.exclude(path):
            return True
        return self.include is not None and not self.include(path)

    def _directory(self, folder: str, path: str, above: tuple[str, ...], expected: Identity | None) -> Directory:
        """Read one directory; ``above`` are the real paths of it and of its parents.

        Fails if it is not the ``expected`` one: it may have been replaced after its parent was read.
        """
        if len(above) > MAX_DEPTH + 1:
            raise BuildError(f"{self._where(path)}: folders are nested more than {MAX_DEPTH} deep")
        try:
            mode, listed = self._list(folder, path, above[0], expected)
        except OSError as error:
            raise BuildError(f"cannot read {self._where(path)}: {error.strerror}") from error
        entries: dict[str, Node] = {}
        for found in listed:
            is_directory = stat.S_ISDIR(found.status.st_mode)
            node = self._subdirectory(found, above) if is_directory else self._leaf(found)
            if node is not None:
                entries[found.name] = node
        return Directory(entries, executable=not self._keeps_modes or bool(mode & EXECUTABLE))

    def _list(self, folder: str, path: str, root: str, expected: Identity | None) -> tuple[int, list[_Entry]]:
        """Return the mode of a directory and what is in it, except for what patterns exclude. Raises OSError.

        All of it is read from the open directory, so that none of it can be of another that took its place.
        """
        with ExitStack() as stack:
            opened: int | str = folder
            if HAS_DESCRIPTORS:
                opened = open_folder(folder, expected=expected)
                stack.callback(os.close, opened)
            mode = os.stat(opened).st_mode  # noqa: PTH116 - a descriptor
            found = sorted(stack.enter_context(os.scandir(opened)), key=lambda entry: entry.name)
            entries = (self._entry(entry, opened, folder, path, root) for entry in found)
            return mode, [entry for entry in entries if entry is not None]

    def _entry(self, entry: os.DirEntry[str], opened: int | str, folder: str, path: str, root: str) -> _Entry | None:
        """Return what is in an open directory under one name, or None if patterns exclude it."""
        # A name is its bytes, whatever the encoding of the locale.
        encoded = os.fsencode(entry.name)
        here = path + decode_name(encoded)
        try:
            is_directory = entry.is_dir(follow_symlinks=self._follows)
        except OSError as error:
            if self._excludes(here) or self._excludes(f"{here}/"):
                return None
            raise BuildError(f"cannot follow {self._where(here)}: {error.strerror}", hint="Exclude it.") from error
        if self._excludes(f"{here}/" if is_directory else here):
            return None
        name, disk = self._name(encoded, path), f"{folder}{os.sep}{entry.name}"
        if not is_directory and self.include is not None and not self.include(here):
            return None
        # Windows also has junctions, which are a kind of link.
        linked = (entry.is_symlink() and self._follows) or (is_directory and os.name == "nt")
        real = self._followed(disk, here) if linked else None
        # Windows does not say everything in a listing, and has no descriptors of folders.
        at = {"dir_fd": opened} if isinstance(opened, int) else {}
        place = entry.name if at else disk
        try:
            if real is not None:  # noqa: SIM108 - a long line
                status = status_beneath(root, real)
            else:
                status = os.stat(place, **at, follow_symlinks=False)  # noqa: PTH116 - Path has no descriptors
            target = os.readlink(place, **at) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            raise BuildError(f"cannot read {self._where(here)}: {error.strerror}") from error
        if stat.S_ISDIR(status.st_mode) != is_directory:
            raise BuildError(f"{self._where(here)} changed while the image was being built", hint="Build again.")
        return _Entry(name, here, real or disk, real, status, target)

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
                f"{self._where(path)}: the name '{show_name(name)}' is not valid UTF-8",
                hint="Rename it, or exclude it.",
            )
        if problem is None and len(encode_name(path)) + len(encoded) > MAX_PATH:
            problem = f"a path is longer than {MAX_PATH} bytes"
        if problem:
            raise BuildError(f"{self._where(path)}: {problem}")
        return name

    def _subdirectory(self, found: _Entry, above: tuple[str, ...]) -> Directory | None:
        real = found.real or f"{above[-1]}{os.sep}{os.path.basename(found.disk)}"  # noqa: PTH119 - a string
        if real in above:
            raise BuildError(
                f"{self._where(found.here)} is a link to a folder that contains it: a loop", hint="Exclude it."
            )
        directory = self._directory(found.disk, f"{found.here}/", (*above, real), identity(found.status))
        # An empty folder is kept, but not one in which `include` matches nothing.
        return directory if directory.entries or self.include is None else None

    def _leaf(self, found: _Entry) -> Node:
        """Return anything but a directory; several names of one inode get the same node."""
        if self.keep is None or found.status.st_nlink == 1:
            return self._node(found)
        inode = found.status.st_dev, found.status.st_ino
        if inode not in self.keep.inodes:
            self.keep.inodes[inode] = self._node(found)
        return self.keep.inodes[inode]

    def _node(self, found: _Entry) -> Node:
        status, origin = found.status, self._where(found.here)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            content = DiskContent(found.disk, status.st_size, status.st_mtime_ns, identity(status))
            source = None if self.below is None else join(self.below, found.here)
            executable = self._keeps_modes and bool(status.st_mode & EXECUTABLE)
            return File(content, origin, executable, source=source, layer=self.layer)
        if self.keep is None or kind not in (*_SPECIAL, stat.S_IFLNK):
            what = f"a {_SPECIAL[kind]}" if kind in _SPECIAL else "neither a file nor a folder"
            raise BuildError(f"{origin} is {what}, which an image cannot contain", hint="Exclude it.")
        if kind == stat.S_IFLNK:
            return Symlink(decode_name(os.fsencode(found.target)).replace(os.sep, "/"), origin)
        return Special(_SPECIAL[kind], origin, os.major(status.st_rdev), os.minor(status.st_rdev))

    @property
    def _follows(self) -> bool:
        return self.keep is None or not self.keep.symlinks

    @property
    def _keeps_modes(self) -> bool:
        return self.keep is not None and self.keep.modes

    def _followed(self, disk: str, here: str) -> str:
        """Return the target of a link, which must be inside the source folder."""
        real = os.path.realpath(disk)
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
