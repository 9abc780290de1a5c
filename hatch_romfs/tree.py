"""The tree of files that packages exchange: directories, files, and where the bytes of each file come from.

The small values here are named tuples instead of dataclasses: importing ``dataclasses`` and generating their
methods would take a twentieth of a small build's time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from hatch_romfs.errors import BuildError
from hatch_romfs.paths import encode_name, join
from romfs_manifest.shared.opening import Identity, identity, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_romfs.settings.subtables import Nested

CHUNK = 1 << 18
"""Bytes that are passed on at a time when data is streamed."""


class Content(Protocol):
    """The data of a file, which may be larger than memory."""

    @property
    def size(self) -> int:
        """The number of bytes that ``chunks`` yields."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data in order; may be called again."""
        ...


class MemoryContent(NamedTuple):
    """Data in memory, such as a compiled module; ``compiler`` is the path of the mpy-cross that made it."""

    data: bytes
    compiler: Path | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.size:,} bytes>"

    @property
    def size(self) -> int:
        """The length in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data."""
        view = memoryview(self.data)
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]


class DiskContent(NamedTuple):
    """Data that stays on disk until it is needed.

    ``size``, ``mtime_ns``, and ``identity`` are those at the time of collecting. The layout of the image depends on
    them, so a file that changes during the build is an error, and so is another file in its place. ``path`` is not a
    link. ``identity`` is None where the system does not say it.
    """

    path: str
    size: int
    mtime_ns: int
    identity: Identity | None = None

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data; raises BuildError if the file cannot be read or has changed since it was collected."""
        return self.part(0, self.size)

    def part(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        """Yield ``size`` bytes from ``offset`` on, as ``chunks`` does."""
        total = 0
        try:
            descriptor = open_regular(self.path, follow=False)
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
                status = os.fstat(descriptor)
                if not self._is_unchanged(status):
                    raise self._changed()
                file.seek(offset)
                while total < size and (chunk := file.read(min(CHUNK, size - total))):
                    total += len(chunk)
                    yield chunk
                status = os.fstat(descriptor)
        except OSError as error:
            raise BuildError(f"cannot read {self.path}: {error.strerror}") from error
        if total != size or not self._is_unchanged(status):
            raise self._changed()

    def _is_unchanged(self, status: os.stat_result) -> bool:
        same = self.identity in (None, identity(status))
        return same and (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)

    def _changed(self) -> BuildError:
        return BuildError(f"{self.path} changed while the image was being built", hint="Build again.")


class PartContent(NamedTuple):
    """``size`` bytes from ``offset`` on of a file on disk, such as a file in an image."""

    file: DiskContent
    offset: int
    size: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data; raises BuildError as ``DiskContent.chunks`` does."""
        return self.file.part(self.offset, self.size)


Layer: TypeAlias = Literal["source", "library", "manifest", "package", "base"]
"""What a file of an image was taken from: a folder of ``sources`` or of ``lib``, a manifest, a mip package, a base."""


class File(NamedTuple):
    """A file.

    ``origin`` says in messages where the file comes from. ``executable`` exists only in Linux romfs. ``optimize`` is
    the ``-O`` level for this module if it differs from the settings. A ``.py`` that is ``verbatim`` is not compiled; a
    ``.mpy`` that is verbatim was compiled elsewhere. ``source`` is the path of the file on disk, relative to the
    project and with ``/``, or None if there is none or it depends on the machine. ``alignment``, in bytes, is what the
    content itself needs, in addition to what the settings ask for. ``layer`` is what it was taken from, and
    ``package`` the name and the version of a mip package, whose ``license`` is an SPDX expression if the file states
    one. A file of a base is never changed.
    """

    content: Content
    origin: str
    executable: bool = False
    optimize: int | None = None
    verbatim: bool = False
    source: str | None = None
    alignment: int = 1
    layer: Layer = "source"
    package: str | None = None
    license: str | None = None

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self.content.size

    def read(self) -> bytes:
        """Return the whole data."""
        return b"".join(self.content.chunks())


class Symlink(NamedTuple):
    """A symbolic link to ``target``, a path in the terms of the file system that mounts the image."""

    target: str
    origin: str


class Special(NamedTuple):
    """A special file: ``kind`` is ``socket``, ``fifo``, ``block device``, or ``character device``.

    Only devices have ``major`` and ``minor`` numbers.
    """

    kind: str
    origin: str
    major: int = 0
    minor: int = 0


class NestedImage(NamedTuple):
    """An image inside the image: its own tree, and its own settings. Packing turns it into a file.

    ``source`` and ``layer`` are as those of a file.
    """

    tree: Directory
    settings: Nested
    origin: str
    source: str | None = None
    layer: Layer = "source"


class Directory:
    """A directory: nodes by name, in any order; ``sorted`` gives the order of the image.

    A node that is the same object under several names is one file with several hard links.
    """

    __slots__ = ("entries", "executable")

    def __init__(self, entries: dict[str, Node] | None = None, *, executable: bool = True) -> None:
        self.entries = {} if entries is None else entries
        self.executable = executable

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.entries):,} entries>"

    def sorted(self) -> list[tuple[str, Node]]:
        """Return the entries by the bytes of their names."""
        return sorted(self.entries.items(), key=lambda entry: encode_name(entry[0]))


Leaf: TypeAlias = File | Symlink | Special | NestedImage
Node: TypeAlias = Directory | Leaf


def kind_of(node: Node) -> str:
    """Return what a node is, in words."""
    match node:
        case Directory():
            return "directory"
        case File():
            return "file"
        case Symlink():
            return f"symbolic link to {node.target!r}"
        case Special():
            return node.kind
        case NestedImage():
            return "image"


def walk(root: Directory, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every path below ``root`` with its node: a directory before its content, names in order.

    The content of nested images is not part of this tree.
    """
    for name, node in root.sorted():
        here = join(path, name)
        yield here, node
        if isinstance(node, Directory):
            yield from walk(node, here)


def files(root: Directory) -> Iterator[tuple[str, File]]:
    """Yield every file below ``root`` with its path, in order."""
    return ((path, node) for path, node in walk(root) if isinstance(node, File))


def nested_images(root: Directory) -> dict[str, NestedImage]:
    """Return the nested images below ``root`` by path."""
    return {path: node for path, node in walk(root) if isinstance(node, NestedImage)}


def replace_leaves(root: Directory, change: Callable[[str, str, Leaf], tuple[str, Leaf]], path: str = "") -> Directory:
    """Return a copy of a tree. ``change`` takes the path, the name, and the node of a leaf; it returns both."""
    entries: dict[str, Node] = {}
    for name, node in root.entries.items():
        here = join(path, name)
        if isinstance(node, Directory):
            entries[name] = replace_leaves(node, change, here)
        else:
            leaf_name, leaf = change(here, name, node)
            entries[leaf_name] = leaf
    return Directory(entries, executable=root.executable)
