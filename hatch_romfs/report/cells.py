"""Cells: every byte of an image belongs to exactly one, which says what it is for and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Memory: TypeAlias = Literal["flash", "RAM", ""]
"""What a board does with bytes: uses them in flash, copies them to RAM, or neither after the import."""


class Cell(NamedTuple):
    """``size`` bytes at ``offset``.

    ``path`` is the file or folder that they belong to, ``""`` for the image itself. ``part`` is a function of a
    module, or ``""``.
    """

    offset: int
    size: int
    kind: str
    path: str
    part: str = ""
    memory: Memory = ""


GROUPS: Final = {
    "code": (
        "bytecode", "function header", "line numbers", "native code", "native data", "relocations", "module header",
    ),
    "constants": ("constant", "identifier"),
    "data": ("data", "source", "link target"),
    "structure": ("header", "metadata", "comment", "record", "name", "pointer"),
    "padding": ("alignment padding", "layout padding", "length padding", "size padding", "padding", "unused"),
    "free": ("free",),
}  # fmt: skip
"""The kinds of cells in groups, as pictures show them; ``free`` is the rest of the partition."""
GROUP_OF: Final = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
"""The group of each kind."""


class Section(NamedTuple):
    """A part of a file's data; ``start`` is in bytes from the start of the data."""

    start: int
    size: int
    kind: str
    part: str = ""
    memory: Memory = ""


class CellList:
    """Cells of one image, in any order while they are added."""

    def __init__(self) -> None:
        self._cells: list[Cell] = []

    def add(self, start: int, end: int, kind: str, path: str) -> None:
        """Add the bytes from ``start`` to ``end``, if there are any."""
        if start < end:
            self._cells.append(Cell(start, end - start, kind, path))

    def add_number(self, view: bytes | memoryview, start: int, kind: str, path: str) -> None:
        """Add the bytes of an encoded number at ``start``; leading bytes that only make it longer are padding."""
        significant = len(view) - len(bytes(view).lstrip(b"\x80"))
        self.add(start, start + significant, "length padding", path)
        self.add(start + significant, start + len(view), kind, path)

    def extend(self, cells: Iterable[Cell]) -> None:
        """Add finished cells."""
        self._cells.extend(cells)

    def joined(self) -> tuple[Cell, ...]:
        """Return the cells in order; neighbors that differ only in their place become one."""
        joined: list[Cell] = []
        for cell in sorted(self._cells):
            last = joined[-1] if joined else None
            if last is not None and last[2:] == cell[2:] and last.offset + last.size == cell.offset:
                joined[-1] = last._replace(size=last.size + cell.size)
            else:
                joined.append(cell)
        return tuple(joined)
