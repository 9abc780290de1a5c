"""A map on a terminal: the partition as a strip, folders and files as bars, and erase blocks, as wide as the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from hatch_romfs.errors import one_line
from hatch_romfs.report.cells import GROUP_OF, GROUPS
from hatch_romfs.report.image_map import blocks, by_group, by_kind, entries
from hatch_romfs.report.rows import Row, block_paths, notes, title, top_entries, tree_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_romfs.report.image_map import ImageMap

STYLES: Final = {
    "code": "blue",
    "constants": "cyan",
    "data": "green",
    "structure": "magenta",
    "padding": "yellow",
    "free": "bright_black",
}
_GLYPHS: Final = {"code": "█", "constants": "▓", "data": "▒", "structure": "≡", "padding": "·", "free": " "}
"""What tells groups apart without color."""
_SHORTEST_NAME: Final = 12
_SHORTEST_BAR: Final = 8
_WIDEST: Final = 160
"""Columns of a line of text with a bar; only the strip is as wide as any screen."""


def print_picture(found: ImageMap, *, order: str, block: int | None, everything: bool) -> None:
    """Print a map; ``everything`` includes small files and the functions of modules."""
    picture = _Picture(found)
    picture.title()
    picture.strip()
    picture.files(order, everything=everything)
    picture.kinds()
    if block:
        picture.blocks(block)
    for note in notes(found):
        picture.console.print(Text(note, "dim"))


class _Picture:
    def __init__(self, found: ImageMap) -> None:
        self.found = found
        self.console = Console(highlight=False)
        self.width = max(self.console.width, 20)
        self.has_color = self.console.color_system is not None and not self.console.no_color

    def print(self, line: Text) -> None:
        """Print a line, cut at the edge of the screen."""
        self.console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def title(self) -> None:
        name, facts = title(self.found)
        self.console.print(Text.assemble((one_line(name), "bold"), "  ", (facts, "dim")), overflow="fold")

    def glyph(self, group: str) -> str:
        """Return how a group looks, in its style."""
        return ("░" if group == "free" else "█") if self.has_color else _GLYPHS[group]

    def bar(self, groups: Mapping[str, int], columns: int) -> Text:
        """Return a bar of so many columns, divided in proportion to ``groups``."""
        bar = Text()
        total, at, done = sum(groups.values()), 0, 0
        for group in GROUPS:
            at += groups.get(group, 0)
            end = round(columns * at / total) if total else 0
            bar.append(self.glyph(group) * (end - done), STYLES[group])
            done = end
        return bar

    def strip(self) -> None:
        """Print the bytes of the partition in place; each column shows what most of its bytes are."""
        self.print(Text())
        total = max(self.found.partition or 0, self.found.size)
        columns = Text()
        for group in _columns(self.found, total, self.width):
            columns.append(self.glyph(group), STYLES[group])
        for _ in range(2):
            self.print(columns)
        end = f"{total:#x}"
        self.print(Text(f"0{end:>{self.width - 1}}", "dim"))
        groups = by_group(by_kind(self.found.cells))
        groups["free"] += self.found.free
        self.legend({group: f"{group} {size / total:.1%}" for group in GROUPS if (size := groups[group])})
        self.print(Text())

    def legend(self, labels: Mapping[str, str]) -> None:
        """Print what the groups look like, on as many lines as it takes."""
        line = Text()
        for group, label in labels.items():
            if line and cell_len(line.plain) + 2 + len(label) > self.width:
                self.print(line)
                line = Text()
            line.append(f"{self.glyph(group)} ", STYLES[group])
            line.append(f"{label}   ")
        self.print(line)

    def files(self, order: str, *, everything: bool) -> None:
        """Print folders and files as a tree with bars."""
        root = entries(self.found.cells, functions=everything)
        rows = list(tree_rows(root, root.size, order, everything=everything))
        largest = max((child.size for child in top_entries(root)), default=0)
        widths = self.columns([cell_len(row.guide + one_line(row.name)) for row in rows], largest)
        if rows:
            heading = f"{'':{widths[0]}}  {'size':>{widths[2]}} {'%':>6}"
            self.print(Text(heading, "dim"))
        for row in rows:
            self.file(row, widths, largest)

    def columns(self, names: list[int], largest: int) -> tuple[int, int, int]:
        """Return the columns of names, bars, and sizes."""
        size = max(len(f"{largest:,}"), 4)
        rest = min(self.width, _WIDEST) - size - 7 - 4
        name = min(max(names, default=0), max(rest - max(rest // 3, _SHORTEST_BAR), _SHORTEST_NAME))
        bar = rest - name
        return name, bar if bar >= _SHORTEST_BAR else 0, size

    def file(self, row: Row, widths: tuple[int, int, int], largest: int) -> None:
        name, bar, size = widths
        text = f"{row.guide}{one_line(row.name)}"
        fitting = text if cell_len(text) <= name else f"{set_cell_size(text, name - 1)}…"
        style = "bold" if row.name.endswith("/") else "dim" if row.entry.is_function else ""
        line = Text(set_cell_size(fitting, name), style)
        percent = f"{100 * row.entry.size / self.found.size:.1f}"
        line.append(f"  {row.entry.size:>{size},} {percent:>6}  ", "not bold")
        if bar:
            columns = max(round(bar * row.entry.size / largest), 1)
            line.append_text(self.bar(by_group(row.entry.kinds), columns))
        line.rstrip()
        self.print(line)

    def kinds(self) -> None:
        """Print how many bytes there are of each kind."""
        self.print(Text())
        sizes = by_kind(self.found.cells)
        width = max(map(len, sizes))
        size = max(len(f"{value:,}") for value in sizes.values())
        largest = max(sizes.values())
        columns = min(self.width, _WIDEST) - width - size - 13
        for kind, value in sizes.most_common():
            group = GROUP_OF[kind]
            line = Text.assemble((f"{self.glyph(group)} ", STYLES[group]), f"{kind:{width}}")
            line.append(f"  {value:>{size},} {100 * value / self.found.size:>6.1f}  ")
            if columns >= _SHORTEST_BAR:
                line.append(self.glyph(group) * max(round(columns * value / largest), 1), STYLES[group])
            self.print(line)
        self.print(Text())

    def blocks(self, size: int) -> None:
        """Print each erase block, with what is in it."""
        listed = blocks(self.found, size)
        number, offset = len(str(len(listed))), len(f"{self.found.size:#x}")
        columns = max((min(self.width, _WIDEST) - number - offset - 6) // 2, _SHORTEST_BAR)
        for block in listed:
            line = Text(f"{block.number:>{number}}  {block.number * size:>#{offset}x}  ", "dim")
            line.append_text(self.bar(block.groups, columns))
            line.append(f"  {one_line(block_paths(block.paths))}", "default")
            self.print(line)
        self.print(Text())


def _columns(found: ImageMap, total: int, width: int) -> list[str]:
    """Return the group of most bytes in each of ``width`` parts of ``total`` bytes."""
    parts: list[dict[str, float]] = [{} for _ in range(width)]

    def add(start: int, size: int, group: str) -> None:
        at, end = start * width / total, (start + size) * width / total
        while at < end:
            column = min(int(at), width - 1)
            stop = min(end, column + 1.0)
            parts[column][group] = parts[column].get(group, 0.0) + stop - at
            if column == width - 1:
                break
            at = stop

    for cell in found.cells:
        add(cell.offset, cell.size, GROUP_OF[cell.kind])
    add(found.size, total - found.size, "free")
    return [max(part, key=part.__getitem__, default="free") for part in parts]
