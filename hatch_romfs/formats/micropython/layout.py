"""The place of every byte of an image, as plain data: nothing is read or written here.

Records are nested, the length of a record is a varuint before its payload, and the padding that aligns a file
depends on everything before it. So a length that grows by one byte moves everything after it. The layout is found by
passes over the whole tree, from front to back, with an assumed width for the length of each directory. If a width
turns out too small, it grows, and the pass is repeated. Widths never shrink, and none exceeds five bytes, so this
ends after two or three passes. A length that needs less than its width is padded with ``0x80`` bytes, which readers
accept.

A compact image without metadata has the bytes that mpremote makes. In any other image an edit moves nothing before the
edited file, because the size is made even at the end, and the first length and the metadata have a fixed size; and the
padding of ``spacing`` keeps it from moving everything after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hatch_romfs.errors import BuildError
from hatch_romfs.formats.micropython import records
from hatch_romfs.formats.micropython.records import varuint, varuint_size
from hatch_romfs.formats.micropython.spacing import COMPACT, STABLE, Space, spaces
from hatch_romfs.formats.sharing import file_alignments
from hatch_romfs.paths import join
from hatch_romfs.tree import Content, Directory, File, kind_of, walk

if TYPE_CHECKING:
    from hatch_romfs.formats.micropython.metadata import Metadata

ROOT = ""
SHARED_FROM = 8
"""The smallest data, in bytes, that is shared: a pointer can be six bytes larger than the header of data."""
_FIRST_WIDTH = 4
"""Bytes of the first length, where it has a fixed size: enough for 256 MiB."""
_NO_SPACE = Space()

Align: TypeAlias = Callable[[str], int]


class Record(NamedTuple):
    """A piece of the image: ``head`` at ``offset``, followed by ``content``, if any.

    The records of a layout are in order and without gaps. That of a directory is only its head, and is followed by
    the records of its content.
    """

    kind: int
    path: str
    offset: int
    head: bytes
    content: Content | None = None

    @property
    def data_offset(self) -> int:
        """The byte of the image at which the content begins."""
        return self.offset + len(self.head)


class Layout(NamedTuple):
    """An image of ``size`` bytes; if there is metadata, ``records[1]`` is the comment that contains it.

    If the image begins at a multiple of ``alignment`` bytes, every file is aligned as it should be.
    """

    size: int
    records: tuple[Record, ...]
    metadata: Metadata | None
    alignment: int


def lay_out(
    root: Directory,
    *,
    align: Align = lambda _: 1,
    same: Mapping[str, str] | None = None,
    metadata: Metadata | None = None,
    stable: bool = False,
) -> Layout:
    """Decide the place of every record of an image of ``root``.

    ``align`` returns the alignment of a file's data by its path: a power of two, in bytes from the start of the
    image. ``same`` has, by the path of a file, the first file with equal data, to which it becomes a pointer. In a
    ``stable`` image an edit changes few erase blocks. Raises BuildError that names every link and special file, which
    the format cannot contain.
    """
    _check(root)
    same = same or {}
    aligns = file_alignments(root, align, same)
    spacing = STABLE if stable else COMPACT if metadata is not None else None
    widths = {ROOT: _FIRST_WIDTH if spacing else 1}
    space = spaces(root, spacing, same) if spacing else None
    while True:
        attempt = _Pass(aligns, same, widths, space, spacing.width if spacing else 1)
        layout = attempt.run(root, metadata)
        if not attempt.settled:
            continue
        if layout.size % 2 == 0:
            return layout
        # As mpremote does it; nothing is aligned, so one more byte in the first length changes nothing else.
        widths[ROOT] += 1


def _check(root: Directory) -> None:
    """Refuse nodes that the format does not have."""
    wrong = [f"{path}: {kind_of(node)}" for path, node in walk(root) if not isinstance(node, File | Directory)]
    if wrong:
        raise BuildError(["MicroPython's ROMFS cannot contain", *wrong], hint="Exclude them.")


class _Pass:
    """One pass over the tree with the widths so far; it increases those that are too small."""

    def __init__(
        self,
        aligns: Mapping[str, int],
        same: Mapping[str, str],
        widths: dict[str, int],
        space: Mapping[str, Space] | None,
        least_width: int,
    ) -> None:
        self.aligns, self.same, self.widths = aligns, same, widths
        self.space, self.least_width = space, least_width
        self.settled = True
        self.at = 0
        self.records: list[Record] = []
        self.data_at: dict[str, int] = {}

    def run(self, root: Directory, metadata: Metadata | None) -> Layout:
        """Place everything; the layout is final if it is ``settled`` and its size is even."""
        self._enter(len(records.MAGIC), ROOT)
        if metadata is not None:
            payload = metadata.encode()
            comment = bytes([records.PADDING]) + varuint(len(payload)) + payload
            self._add(Record(records.PADDING, ROOT, self.at, comment))
        self._fill(root, ROOT)
        alignment = max(self.aligns.values(), default=1)
        if self.at % 2 and (alignment > 1 or self.space is not None):
            # Whatever is before them, aligned files and those with padding after them keep their places.
            self._pad(3, ROOT)
        length = self._leave(ROOT, len(records.MAGIC))
        self.records.insert(0, Record(records.DIRECTORY, ROOT, 0, records.MAGIC + length))
        return Layout(self.at, tuple(self.records), metadata, alignment)

    def _enter(self, kind_size: int, path: str) -> None:
        self.at += kind_size + self.widths.setdefault(path, self.least_width)

    def _leave(self, path: str, payload_offset_without_width: int) -> bytes:
        """Return the encoded length of the directory that ends here."""
        width = self.widths[path]
        size = self.at - payload_offset_without_width - width
        if varuint_size(size) > width:
            self.at += varuint_size(size) - width
            self.widths[path] = varuint_size(size)
            self.settled = False
        return varuint(size, width)

    def _fill(self, directory: Directory, path: str) -> None:
        for name, node in directory.sorted():
            here = join(path, name)
            encoded = name.encode()
            title = varuint(len(encoded)) + encoded
            if isinstance(node, Directory):
                self._directory(node, here, title)
            elif isinstance(node, File):
                space = self.space[here] if self.space else _NO_SPACE
                self._pad_to(space.begin, here)
                self._file(node, here, title)
                self._pad_to(space.end, here)

    def _directory(self, node: Directory, path: str, title: bytes) -> None:
        start, index = self.at, len(self.records)
        self._enter(1, path)
        self.at += len(title)
        self._fill(node, path)
        length = self._leave(path, start + 1)
        head = bytes([records.DIRECTORY]) + length + title
        self.records.insert(index, Record(records.DIRECTORY, path, start, head))

    def _file(self, node: File, path: str, title: bytes) -> None:
        first = self.same.get(path, path)
        if first in self.data_at:
            target = varuint(node.size) + varuint(self.data_at[first] - self._payload)
            body = title + bytes([records.POINTER]) + varuint(len(target)) + target
            head = bytes([records.FILE]) + varuint(len(body)) + body
            self._add(Record(records.FILE, path, self.at, head))
            return
        body = title + bytes([records.VERBATIM]) + varuint(node.size)
        length = varuint(len(body) + node.size)
        missing = -(self.at + 1 + len(length) + len(body)) % self.aligns[first]
        if missing == 1:  # No record is that small, but the length of this one can grow.
            length = varuint(len(body) + node.size, len(length) + 1)
        elif missing:
            self._pad(missing, path)
        record = Record(records.FILE, path, self.at, bytes([records.FILE]) + length + body, content=node.content)
        self.data_at[path] = record.data_offset
        self._add(record)

    @property
    def _payload(self) -> int:
        return len(records.MAGIC) + self.widths[ROOT]

    def _pad_to(self, multiple: int, path: str) -> None:
        """Add padding until the next record begins at a multiple of bytes."""
        missing = -self.at % multiple
        if missing:
            self._pad(missing if missing > 1 else missing + multiple, path)  # no record is of one byte

    def _pad(self, size: int, path: str) -> None:
        self._add(Record(records.PADDING, path, self.at, records.padding(size)))

    def _add(self, record: Record) -> None:
        self.records.append(record)
        self.at = record.data_offset + (record.content.size if record.content else 0)
