"""The cells of a MicroPython ROMFS image."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from hatch_romfs.formats.image import ImageContent, image_content
from hatch_romfs.formats.micropython import metadata, records
from hatch_romfs.formats.micropython.walk import read_number, read_records
from hatch_romfs.paths import join
from hatch_romfs.report.cells import CellList
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hatch_romfs.formats.image import Image
    from hatch_romfs.report.cells import Cell

    ContentCells = Callable[[ImageContent, str], list[Cell]]

_LAYOUT_MULTIPLE: Final = 64
"""The smallest multiple at which the padding of a layout ends."""
_LARGE: Final = 8 << 10
"""Bytes of the smallest file that begins at a multiple."""
_EVEN_PADDING: Final = 3
"""Bytes of the record that makes the size of an image even."""


def micropython_cells(image: Image, content_cells: ContentCells) -> tuple[Cell, ...]:
    """Return the cells of a valid image; ``content_cells`` returns those of the data of a path."""
    walk = _Walk(image, content_cells)
    magic = len(records.MAGIC)
    walk.cells.add(0, magic, "header", "")
    payload = walk.number(magic, image.size, "header", "")[1]
    walk.directory(payload, image.size, "")
    return walk.cells.joined()


class _Data(NamedTuple):
    """The place of the data of a file; those of equal files are the same place."""

    start: int
    end: int
    path: str


class _Record(NamedTuple):
    kind: int
    start: int
    payload: int
    end: int


class _Walk:
    """The walk over an image that the reader has found to be valid."""

    def __init__(self, image: Image, content_cells: ContentCells) -> None:
        self.view, self.size = image.view, image.size
        self.content_cells = content_cells
        self.cells = CellList()
        self.data = sorted(_first_of_each(files_data(image)))

    def number(self, at: int, end: int, kind: str, path: str) -> tuple[int, int]:
        """Add the varuint at ``at``; return it, and the offset after it."""
        value, after = read_number(self.view, at, end)
        self.cells.add_number(bytes(self.view[at:after]), at, kind, path)
        return value, after

    def head(self, record: _Record, path: str, kind: str = "record") -> None:
        """Add the kind and the length of a record."""
        after = self.number(record.start, record.payload, kind, path)[1]
        self.number(after, record.payload, kind, path)

    def directory(self, at: int, end: int, path: str) -> None:
        before = path
        found = [_Record(*record) for record in read_records(self.view, at, end)]
        following = _following(found)
        for record, named in zip(found, following, strict=True):
            if record is not named:
                self.other(record, named, path, before)
                continue
            name, inside = self.name(record.payload, record.end)
            before = join(path, name)
            self.head(record, before)
            self.cells.add(record.payload, inside, "name", before)
            if record.kind == records.DIRECTORY:
                self.directory(inside, record.end, before)
            else:
                self.file(inside, record.end, before)

    def name(self, at: int, end: int) -> tuple[str, int]:
        """Return the name at ``at``, and the offset after it."""
        size, start = read_number(self.view, at, end)
        return bytes(self.view[start : start + size]).decode(), start + size

    def file(self, at: int, end: int, path: str) -> None:
        for record in (_Record(*record) for record in read_records(self.view, at, end)):
            if record.kind == records.VERBATIM:
                self.head(record, path)
                content = ImageContent(self.view, record.payload, record.end - record.payload)
                self.cells.extend(self.content_cells(content, path))
            else:
                self.cells.add(record.start, record.end, _SMALL_KINDS.get(record.kind, "unused"), path)

    def other(self, record: _Record, following: _Record | None, path: str, before: str) -> None:
        """Add a record without a name; data that files point to can be in it."""
        kind, owner = self.purpose(record, following, path, before)
        self.head(record, owner, kind if record.kind == records.PADDING else "record")
        at = record.payload
        first, after = (bisect_left(self.data, (offset,)) for offset in (record.payload, record.end))
        for data in self.data[first:after]:
            self.cells.add(at, data.start, kind, owner)
            content = ImageContent(self.view, data.start, data.end - data.start)
            self.cells.extend(self.content_cells(content, data.path))
            at = data.end
        self.cells.add(at, record.end, kind, owner)

    def purpose(self, record: _Record, following: _Record | None, path: str, before: str) -> tuple[str, str]:
        """Return what a record without a name is for, and the path that it belongs to.

        An image does not say why padding is there, so this is what the layout that hatch-romfs writes would mean.
        """
        if record.kind != records.PADDING:
            return "unused", path
        payload = bytes(self.view[record.payload : record.end])
        if payload.strip(b"\0"):
            is_metadata = path == "" and metadata.decode(payload) is not None
            return "metadata" if is_metadata else "comment", path
        if record.end == self.size and record.end - record.start <= _EVEN_PADDING:
            return "size padding", ""
        is_file = following is not None and following.kind == records.FILE
        after = join(path, self.name(following.payload, following.end)[0]) if following and is_file else before
        if record.end % _LAYOUT_MULTIPLE == 0:
            is_large = following is not None and following.end - following.start >= _LARGE
            return "layout padding", after if is_large else before
        return "alignment padding" if is_file else "padding", after


def _following(found: list[_Record]) -> list[_Record | None]:
    """Return for each record the next one with a name, or itself if it has one."""
    following: list[_Record | None] = []
    last = None
    for record in reversed(found):
        if record.kind in (records.DIRECTORY, records.FILE):
            last = record
        following.append(last)
    return following[::-1]


_SMALL_KINDS: Final = {records.POINTER: "pointer", records.PADDING: "padding"}
"""What records inside a file are, except for its data."""


def files_data(image: Image) -> Iterable[_Data]:
    """Return the place of the data of each file that has any."""
    return (_Data(*image_content(file).span, path) for path, file in files(image.root) if file.size)


def _first_of_each(places: Iterable[_Data]) -> Iterable[_Data]:
    """Return one of the files that share data, the first."""
    first: dict[tuple[int, int], _Data] = {}
    for place in places:
        first.setdefault(place[:2], place)
    return first.values()
