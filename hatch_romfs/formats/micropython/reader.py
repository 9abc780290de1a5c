"""The bytes of an image to a tree, strictly: the image can be hostile, so every number is checked.

The driver on a board trusts an image. What it would follow out of the image, or silently ignore, is an error here
that says where it is. Time and memory are bounded by the size of the image and ``MAX_DEPTH``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.image import ImageContent, ImageDirectory, check_trailing
from hatch_romfs.formats.micropython import metadata, records
from hatch_romfs.formats.micropython.walk import read_number, read_records
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH, name_problem
from hatch_romfs.tree import File

if TYPE_CHECKING:
    from hatch_romfs.formats.image import View
    from hatch_romfs.formats.micropython.metadata import Metadata
    from hatch_romfs.tree import Node


class ParsedImage(NamedTuple):
    """A valid image of ``size`` bytes; ``metadata.sha256`` is of the bytes from ``content_offset`` on."""

    root: ImageDirectory
    size: int
    metadata: Metadata | None
    content_offset: int


def parse(view: View) -> ParsedImage:
    """Read the image at the start of ``view``. Raises ImageError for anything that is not valid."""
    return _Reader(view).image()


class _Areas:
    """The payloads of records without structure, in which data can be: in order, and compact: there are many."""

    def __init__(self) -> None:
        self.starts, self.ends = array("Q"), array("Q")
        self.of_files = bytearray()

    def add(self, start: int, end: int, *, of_file: bool) -> None:
        if start < end:
            self.starts.append(start)
            self.ends.append(end)
            self.of_files.append(of_file)

    def around(self, start: int) -> tuple[int, int, bool]:
        """Return start, end, and whether it belongs to a file, of the last area that begins at ``start`` or before."""
        index = bisect_right(self.starts, start) - 1
        return (self.starts[index], self.ends[index], bool(self.of_files[index])) if index >= 0 else (0, 0, False)


class _Reader:
    def __init__(self, view: View) -> None:
        self.view = view
        self.payload = self.content_offset = 0
        self.areas = _Areas()
        self.pointers: list[tuple[int, ImageContent]] = []
        """The offset of each pointer, and the data that it points to."""
        self.metadata: Metadata | None = None

    def image(self) -> ParsedImage:
        magic = bytes(self.view[: len(records.MAGIC)])
        if magic != records.MAGIC:
            raise ImageError(f"not a MicroPython ROMFS image: it begins with {magic.hex() or 'nothing'}", offset=0)
        length, self.payload = read_number(self.view, len(magic), len(self.view))
        end = self.payload + length
        if end > len(self.view):
            message = f"the image is cut short: it should be {end} bytes, but only {len(self.view)} are there"
            raise ImageError(message, offset=len(self.view))
        check_trailing(self.view, end)
        root = self.directory(self.payload, end, depth=0, above=0)
        self.check_pointers(end)
        return ParsedImage(root, end, self.metadata, self.content_offset)

    def directory(self, at: int, end: int, depth: int, above: int) -> ImageDirectory:
        """Read the content of a directory; ``above`` is the length of its path in bytes."""
        if depth > MAX_DEPTH:
            raise ImageError(f"directories are nested more than {MAX_DEPTH} deep", offset=at)
        entries: dict[str, Node] = {}
        for kind, start, payload, stop in read_records(self.view, at, end):
            if kind not in (records.DIRECTORY, records.FILE):
                self.areas.add(payload, stop, of_file=False)
                if start == self.payload and kind == records.PADDING:
                    self.comment(payload, stop)
                continue
            name, inside = self.name(payload, stop)
            path_size = above + 1 + len(name.encode())
            if path_size > MAX_PATH:
                raise ImageError(f"a path is longer than {MAX_PATH} bytes", offset=payload)
            if name in entries:
                raise ImageError(f"the name {name!r} appears twice in one directory", offset=payload)
            if kind == records.DIRECTORY:
                entries[name] = self.directory(inside, stop, depth + 1, path_size)
            else:
                entries[name] = File(self.data(start, inside, stop), origin=f"image offset {start}")
        return ImageDirectory(entries, size=end - at)

    def comment(self, payload: int, stop: int) -> None:
        """Take the metadata of the image from its first record, if it has any."""
        if stop - payload <= metadata.MAX_SIZE:
            self.metadata = metadata.decode(bytes(self.view[payload:stop]))
            self.content_offset = stop

    def name(self, at: int, end: int) -> tuple[str, int]:
        size, start = read_number(self.view, at, end)
        if size > end - start:
            raise ImageError(f"a name of {size} bytes is larger than its parent", offset=at)
        if size > MAX_PATH:
            raise ImageError(f"a path is longer than {MAX_PATH} bytes", offset=at)
        try:
            name = bytes(self.view[start : start + size]).decode()
        except UnicodeDecodeError:
            raise ImageError("a name is not valid UTF-8", offset=start) from None
        if problem := name_problem(name):
            raise ImageError(problem, offset=start)
        return name, start + size

    def data(self, start: int, at: int, end: int) -> ImageContent:
        """Return the place of the data of the file whose record begins at ``start``."""
        found: ImageContent | None = None
        for kind, offset, payload, stop in read_records(self.view, at, end):
            if kind not in (records.VERBATIM, records.POINTER):
                continue
            if found is not None:
                raise ImageError("a file has more than one data record", offset=offset)
            if kind == records.VERBATIM:
                found = ImageContent(self.view, payload, stop - payload)
                self.areas.add(payload, stop, of_file=True)
            else:
                size, after = read_number(self.view, payload, stop)
                target, _ = read_number(self.view, after, stop)
                found = ImageContent(self.view, self.payload + target, size)
                self.pointers.append((offset, found))
        if found is None:
            raise ImageError("a file has no data record", offset=start)
        return found

    def check_pointers(self, end: int) -> None:
        """Refuse pointers to data outside the image, to structure, or to parts of other data."""
        last = (0, 0)
        for offset, data in sorted(self.pointers, key=lambda pointer: pointer[1].span):
            start, stop = data.span
            what = f"a pointer to {data.size} bytes at {start}"
            if stop > end:
                raise ImageError(f"{what} leaves the image", offset=offset)
            if not data.size:
                continue
            area_start, area_end, of_file = self.areas.around(start)
            if stop > area_end:
                raise ImageError(f"{what} covers records that are not data", offset=offset)
            if (of_file and data.span != (area_start, area_end)) or (start < last[1] and data.span != last):
                raise ImageError(f"{what} partly overlaps other data", offset=offset)
            last = data.span
