"""The cells of a Linux romfs image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.formats.image import ImageContent
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.reader import Reader
from hatch_romfs.paths import decode_name, join
from hatch_romfs.report.cells import CellList

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.formats.image import Image
    from hatch_romfs.report.cells import Cell

    ContentCells = Callable[[ImageContent, str], list[Cell]]


def linux_cells(image: Image, content_cells: ContentCells) -> tuple[Cell, ...]:
    """Return the cells of a valid image; ``content_cells`` returns those of the data of a path."""
    walk = _Walk(image, content_cells)
    walk.structure(0, len(walk.reader.name(headers.UNIT)), "header", "")
    if walk.reader.first < walk.reader.size:
        walk.chain(walk.reader.first, "")
    walk.gaps(image.size)
    return walk.cells.joined()


class _Walk:
    """The walk over an image that the reader has found to be valid; ``ends`` is where each structure ends."""

    def __init__(self, image: Image, content_cells: ContentCells) -> None:
        self.view = image.view
        self.reader = Reader(image.view)
        self.reader.image()
        self.content_cells = content_cells
        self.cells = CellList()
        self.used: list[tuple[int, int, str]] = []

    def structure(self, at: int, name_size: int, kind: str, path: str) -> int:
        """Add four words, a name, and the padding after it; return where they end."""
        name = at + headers.UNIT
        self.cells.add(at, name, kind, path)
        self.cells.add(name, name + name_size + 1, "name", path)
        end = headers.padded(name + name_size + 1)
        self.cells.add(name + name_size + 1, end, "alignment padding", path)
        self.used.append((at, end, path))
        return end

    def chain(self, at: int, path: str) -> None:
        """Add the headers of a directory, and everything in it."""
        while at:
            header = self.reader.header(at)
            is_dot = header.name in (b".", b"..")
            here = path if is_dot else join(path, decode_name(header.name))
            self.structure(at, len(header.name), "record", here)
            if header.size:
                self.data(header, here)
            if header.kind == headers.DIRECTORY and not is_dot and header.info != at:
                self.chain(header.info, here)
            at = header.next

    def data(self, header: headers.Header, path: str) -> None:
        if header.kind == headers.SYMLINK:
            self.cells.add(header.data, header.end, "link target", path)
        else:
            self.cells.extend(self.content_cells(ImageContent(self.view, header.data, header.size), path))
        end = min(headers.padded(header.end), self.reader.size)
        self.cells.add(header.end, end, "alignment padding", path)
        self.used.append((header.data, end, path))

    def gaps(self, size: int) -> None:
        """Add what is between structures: padding, or bytes that nothing leads to."""
        at = 0
        for start, end, path in sorted(self.used):
            if at < start:
                is_empty = not any(bytes(self.view[at:start]))
                self.cells.add(at, start, "alignment padding" if is_empty else "unused", path if is_empty else "")
            at = end
        self.cells.add(at, self.reader.size, "unused", "")
        self.cells.add(max(at, self.reader.size), size, "size padding", "")
