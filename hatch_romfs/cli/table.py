"""A tree on a terminal: its names, with columns such as size, offset, and alignment beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from hatch_romfs.cli.nodes import place, suffix
from hatch_romfs.errors import one_line
from hatch_romfs.tree import Directory, File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.tree import Node

_SHORTEST = 12
"""Columns of a name, at least; on a narrower terminal lines are cut."""


def print_table(root: Directory, title: str, base: int | None) -> None:
    """Print the tree of an image, whose bytes are at the address ``base`` if that is known."""

    def numbers(file: File) -> tuple[str, ...]:
        at, alignment = place(file, base)
        return f"{file.size:,}", f"{at:#x}", f"{alignment}"

    print_tree(root, title, ("size", "offset" if base is None else "address", "alignment"), numbers)


def print_tree(
    root: Directory, title: str, headings: tuple[str, ...], numbers_of: Callable[[File], tuple[str, ...]]
) -> None:
    """Print a tree with columns beside it.

    Numbers are always whole; names that are too long for the terminal end in "…".
    """
    rows = [("", headings, None), *_rows(root, "", tuple("" for _ in headings), numbers_of)]
    widths = [max(len(numbers[column]) for _, numbers, _ in rows) for column in range(len(headings))]
    console = Console(soft_wrap=True)
    longest = max(cell_len(name) for name, _, _ in rows)
    room = min(longest, max(console.width - sum(widths) - 2 * len(widths), _SHORTEST))
    console.print(Text(one_line(title), "bold"), overflow="ellipsis", no_wrap=True, crop=True)
    for name, numbers, node in rows:
        fitting = name if cell_len(name) <= room else f"{set_cell_size(name, room - 1)}…"
        line = Text(set_cell_size(fitting, room), "bold" if isinstance(node, Directory) else "")
        columns = "".join(f"  {number:>{width}}" for number, width in zip(numbers, widths, strict=True))
        line.append(columns.rstrip(), "dim" if node is None else "cyan")
        line.rstrip()
        console.print(line, no_wrap=True, overflow="crop", crop=True)


def _rows(
    directory: Directory, guide: str, empty: tuple[str, ...], numbers_of: Callable[[File], tuple[str, ...]]
) -> Iterator[tuple[str, tuple[str, ...], Node | None]]:
    nodes = directory.sorted()
    for number, (name, node) in enumerate(nodes, 1):
        is_last = number == len(nodes)
        numbers = numbers_of(node) if isinstance(node, File) else empty
        yield f"{guide}{'└── ' if is_last else '├── '}{one_line(f'{name}{suffix(node)}')}", numbers, node
        if isinstance(node, Directory):
            yield from _rows(node, f"{guide}{'    ' if is_last else '│   '}", empty, numbers_of)
