"""The place of every header and every byte of data of an image, as plain data: nothing is read or written here.

Headers are in the order of the tree, the content of a directory right after it, as in the images of genromfs. Each
directory begins with ``.`` and ``..``, which GRUB's reader needs: hard links to the header of the directory and to
that of its parent. The root has no header of its own; its ``.`` is a directory that begins with itself, and links to
the root lead there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hatch_romfs.errors import BuildError
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.headers import Header, padded
from hatch_romfs.paths import encode_name, join, show_name
from hatch_romfs.tree import Directory, File, MemoryContent, Special, Symlink

if TYPE_CHECKING:
    from hatch_romfs.tree import Content, Node

Align: TypeAlias = "Callable[[str, Node | None], int]"
"""Returns the alignment of a path and its node (None for ``.`` and ``..``), in bytes from the start of the image."""
Order: TypeAlias = Callable[[str, Directory], Iterable[str]]
"""Returns the names in a directory, ``.`` and ``..`` included, by its path and the directory itself."""

KINDS = {
    "block device": headers.BLOCK_DEVICE,
    "character device": headers.CHARACTER_DEVICE,
    "socket": headers.SOCKET,
    "fifo": headers.FIFO,
}


class Record:
    """A piece of the image: a header at ``offset``, and the data that follows it, if any.

    ``next`` and ``info`` are set once the nodes that they mean have their places.
    """

    __slots__ = ("content", "executable", "info", "kind", "name", "next", "offset")

    def __init__(self, offset: int, kind: int, name: bytes, content: Content | None, *, executable: bool) -> None:
        self.offset, self.kind, self.name, self.content, self.executable = offset, kind, name, content, executable
        self.next = self.info = 0

    @property
    def header(self) -> Header:
        """The header."""
        size = 0 if self.content is None else self.content.size
        return Header(self.offset, self.kind, self.executable, self.next, self.info, size, self.name)


class Layout(NamedTuple):
    """An image of ``size`` bytes, padded with zeros to ``padded`` bytes."""

    size: int
    volume: bytes
    records: tuple[Record, ...]

    @property
    def padded(self) -> int:
        """The length of the image's file in bytes."""
        return padded(self.size, headers.BLOCK)


def sorted_names(_path: str, directory: Directory) -> Iterable[str]:
    """Return the names in a directory in an order that does not depend on the disk."""
    return [".", "..", *(name for name, _ in directory.sorted())]


def lay_out(
    root: Directory,
    volume: str,
    *,
    align: Align = lambda *_: 1,
    same: Mapping[str, str] | None = None,
    order: Order = sorted_names,
) -> Layout:
    """Decide the place of every header and all data of an image of ``root``.

    ``align`` returns the alignment of the data of files, and of the headers of everything else. ``same`` has, by the
    path of anything but a directory, the path of the node that it is a hard link to. Raises BuildError that lists
    everything that the format cannot contain.
    """
    try:
        encoded = encode_name(volume)
    except UnicodeEncodeError:
        encoded = b"\0"
    if len(encoded) > headers.MAX_NAME or b"\0" in encoded:
        raise BuildError(
            f"the name of the volume is longer than {headers.MAX_NAME} bytes, contains a NUL, or is not valid UTF-8",
            hint="Set another with tool.romfs.linux.volume, --volume, or -V.",
        )
    run = _Pass(align, same or {}, order)
    run.at = headers.header_size(encoded)
    run.fill(root, "", own=run.place(".", None), above=run.place(".", None))
    if run.problems:
        raise BuildError(["Linux romfs cannot contain", *run.problems], hint="Rename or exclude them.")
    if run.at > headers.MAX_SIZE:
        raise BuildError(
            f"the image is {run.at:,} bytes, more than the {headers.MAX_SIZE:,} that its format can address"
        )
    return Layout(run.at, encoded, tuple(run.records))


class _Pass:
    """The walk over the tree; ``at`` is the end of what was placed, ``problems`` what does not fit into a header."""

    def __init__(self, align: Align, same: Mapping[str, str], order: Order) -> None:
        self.align, self.same, self.order = align, same, order
        self.at = 0
        self.records: list[Record] = []
        self.placed: dict[str, int] = {}
        self.problems: list[str] = []

    def fill(self, directory: Directory, path: str, own: int, above: int) -> None:
        """Place the content of a directory; ``own`` and ``above`` are the targets of its ``.`` and ``..``."""
        last = None
        for name in self.order(path, directory):
            here, index = join(path, name), len(self.records)
            if name in directory.entries:
                self._node(name, here, directory.entries[name], own)
            elif name == "." and not path:
                self._put(name, here, None, headers.DIRECTORY, executable=directory.executable).info = own
            else:
                self._put(name, here, None, headers.HARD_LINK).info = own if name == "." else above
            if last is not None:
                last.next = self.records[index].offset
            last = self.records[index]

    def place(self, path: str, node: Node | None, before: int = 0) -> int:
        """Return the next offset at which something is aligned that has ``before`` bytes before it."""
        return padded(self.at + before, max(headers.UNIT, self.align(path, node))) - before

    def _node(self, name: str, path: str, node: Node, above: int) -> None:
        first = self.same.get(path, path)
        if first in self.placed:
            self._put(name, path, node, headers.HARD_LINK).info = self.placed[first]
            return
        if isinstance(node, File):
            record = self._put(name, path, node, headers.FILE, node.content, executable=node.executable)
        elif isinstance(node, Directory):
            record = self._put(name, path, node, headers.DIRECTORY, executable=node.executable)
            index = len(self.records)
            self.fill(node, path, own=record.offset, above=above)
            record.info = self.records[index].offset
        elif isinstance(node, Symlink):
            record = self._put(name, path, node, headers.SYMLINK, MemoryContent(encode_name(node.target)))
        elif isinstance(node, Special):
            record = self._put(name, path, node, KINDS[node.kind])
            record.info = node.major << 16 | node.minor
            if not (0 <= node.major <= headers.MAX_NUMBER and 0 <= node.minor <= headers.MAX_NUMBER):
                self.problems.append(
                    f"{show_name(path)}: the device {node.major}, {node.minor}: above {headers.MAX_NUMBER}"
                )
        else:
            raise TypeError(f"{path}: a nested image has to be packed first")
        self.placed[first] = record.offset

    def _put(  # noqa: PLR0913 - the fields of a header
        self,
        name: str,
        path: str,
        node: Node | None,
        kind: int,
        content: Content | None = None,
        *,
        executable: bool = False,
    ) -> Record:
        """Add a header. Of files the data is aligned, of everything else the header."""
        encoded = encode_name(name)
        if len(encoded) > headers.MAX_NAME:
            self.problems.append(
                f"{show_name(path)}: its name is {len(encoded)} bytes long, the maximum is {headers.MAX_NAME}"
            )
        head = headers.header_size(encoded)
        record = Record(
            self.place(path, node, head if kind == headers.FILE else 0), kind, encoded, content, executable=executable
        )
        self.records.append(record)
        self.at = padded(record.offset + head + (0 if content is None else content.size))
        return record
