"""The file tree that the rooms hand on: directories and files, and where a file's bytes come from.

A path inside an image is a string with ``/`` between its names and none at either end; the root is ``""``.
Names are checked here and nowhere else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from hatch_romfs.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 255
"""Folders inside one another, at most: enough for any real tree, and a bound for what walks one."""

MAX_PATH = 4096
"""Bytes of a path inside an image, at most: what walks a tree builds the path of everything in it."""

CHUNK = 1 << 18
"""Bytes handed on at a time when a file's data is streamed."""


class Content(Protocol):
    """A file's data, which may be larger than memory."""

    @property
    def size(self) -> int:
        """How many bytes ``chunks`` yields."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data in order; may be called again."""
        ...


class Held(NamedTuple):
    """Data that is in memory, such as a compiled module: ``compiler`` is the path of what made that."""

    data: bytes
    compiler: Path | None = None

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data."""
        view = memoryview(self.data)
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]


class OnDisk(NamedTuple):
    """A file's data that stays on disk until it is needed.

    Size and time of change (nanoseconds) are those it had when it was collected: a file that changes during
    the build is an error, for its place in the image is settled by then.
    """

    path: str
    size: int
    mtime_ns: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data; raises BuildError if it cannot be read, or is not what was collected."""
        total = 0
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - there are many files
                while total < self.size and (chunk := file.read(CHUNK)):
                    total += len(chunk)
                    yield chunk
                status = os.fstat(file.fileno())
        except OSError as error:
            raise BuildError(f"cannot read {self.path}: {error.strerror}") from error
        if not total == self.size == status.st_size or status.st_mtime_ns != self.mtime_ns:
            raise BuildError(f"{self.path} changed while the image was being built", hint="Build again.")


class File(NamedTuple):
    """A file; ``origin`` says where it comes from, for messages.

    Only Linux's romfs knows ``executable``. Of a ``.py``, ``optimize`` is the level that it is compiled with where
    that is not the settings', and one that is ``verbatim`` is never compiled;
    a ``.mpy`` that is was compiled elsewhere.

    ``source`` is the path of the file on disk that it was made of, relative to the project and with ``/``; None
    where there is none, or it is the same on no other machine.
    """

    content: Content
    origin: str
    executable: bool = False
    optimize: int | None = None
    verbatim: bool = False
    source: str | None = None

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.content.size

    def read(self) -> bytes:
        """Return the whole data."""
        return b"".join(self.content.chunks())


class Symlink(NamedTuple):
    """A symbolic link to ``target``, a path as the file system that mounts the image understands it."""

    target: str
    origin: str


class Special(NamedTuple):
    """A special file: ``kind`` is ``socket`` or ``fifo``, or ``block device`` or ``character device`` with numbers."""

    kind: str
    origin: str
    major: int = 0
    minor: int = 0


class Directory:
    """A directory: nodes by name. Order is given by ``sorted``, not by the dictionary.

    A node that is the same object under several names is one file with several hard links.
    """

    __slots__ = ("entries", "executable")

    def __init__(self, entries: dict[str, Node] | None = None, *, executable: bool = True) -> None:
        self.entries = {} if entries is None else entries
        self.executable = executable

    def sorted(self) -> list[tuple[str, Node]]:
        """List the entries by the bytes of their names (UTF-8 keeps the order of code points)."""
        return sorted(self.entries.items(), key=lambda entry: entry[0])


Node: TypeAlias = Directory | File | Symlink | Special


def kind_of(node: Node) -> str:
    """Say what a node is."""
    if isinstance(node, Special):
        return node.kind
    if isinstance(node, Symlink):
        return f"symbolic link to {node.target!r}"
    return "directory" if isinstance(node, Directory) else "file"


def join(parent: str, name: str) -> str:
    """Return the path of ``name`` in the directory ``parent``."""
    return f"{parent}/{name}" if parent else name


def walk(root: Directory, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every path below ``root`` with its node, a directory before what it holds, names in order."""
    for name, node in root.sorted():
        here = join(path, name)
        yield here, node
        if isinstance(node, Directory):
            yield from walk(node, here)


def files(root: Directory) -> Iterator[tuple[str, File]]:
    """Yield every file below ``root`` with its path, in order."""
    return ((path, node) for path, node in walk(root) if isinstance(node, File))


def name_problem(name: str) -> str | None:
    """Say why ``name`` cannot be a name inside an image, or return None."""
    if name in ("", ".", ".."):
        return f"{name!r} is not a name"
    if "/" in name or "\0" in name:
        return f"the name {name!r} holds a '/' or a NUL"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name {name!r} is not valid UTF-8"
    return None


def path_problem(path: str) -> str | None:
    """Say why ``path`` cannot be a path inside an image, or return None; the root, ``""``, can."""
    if "\\" in path:
        return f"{path!r} holds a backslash; folders are parted by '/'"
    if path.startswith("/") or path[1:2] == ":":
        return f"{path!r} is absolute; paths inside an image count from its root"
    return next(filter(None, map(name_problem, path.split("/"))), None) if path else None
