"""A difference between two images as text, in color on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from hatch_romfs.cli.command import print_line
from hatch_romfs.errors import one_line
from hatch_romfs.paths import show_name
from hatch_romfs.report.image_diff import STATUSES
from hatch_romfs.report.rows import blocks_sentence, title

if TYPE_CHECKING:
    from rich.console import Console

    from hatch_romfs.report.image_diff import Change, ImageDiff, Status

_MARKS: Final[dict[Status, tuple[str, str]]] = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "moved": (">", "dim"),
}
_MOST_MOVED: Final = 5
"""The number of moved files that are listed, because one edit can move all of them."""


def print_diff(diff: ImageDiff, *, everything: bool) -> None:
    """Print a difference; ``everything`` includes all moved files, however many."""
    printer = _Printer()
    before, after = (": ".join(title(found)) for found in (diff.before, diff.after))
    printer.line(f"- {before}", "red")
    printer.line(f"+ {after}", "green")
    if diff.is_equal:
        printer.line("the images are equal, byte for byte")
        return
    if diff.changes:
        printer.line("")
    else:
        printer.line("the files are equal; the images differ in metadata or padding")
    for status in STATUSES:
        changes = [change for change in diff.changes if change.status == status]
        shown = changes if everything or status != "moved" else changes[:_MOST_MOVED]
        for change in shown:
            printer.line(change_line(change), _MARKS[status][1])
        if len(shown) < len(changes):
            printer.line(f"> and {len(changes) - len(shown):,} more files moved; -v lists all", "dim")
    if diff.folders:
        printer.line("")
        printer.line(f"  {'before':>12} {'after':>12} {'':>10}  folder", "dim")
    for folder in diff.folders:
        name = f"{show_name(folder.path)}/"
        printer.line(f"  {folder.before:>12,} {folder.after:>12,} {folder.after - folder.before:>+10,}  {name}")
    printer.line("")
    printer.blocks(diff)


def change_line(change: Change) -> str:
    """Return a change as one line: its mark, its sizes, and its path."""
    mark = _MARKS[change.status][0]
    before, after = ("" if size is None else f"{size:,}" for size in (change.before, change.after))
    growth = (change.after or 0) - (change.before or 0)
    note = "" if change.status != "moved" else " (moved)"
    return f"{mark} {before:>12} {after:>12} {growth:>+10,}  {show_name(change.path)}{note}"


class _Printer:
    """Prints lines: in color on a terminal, where long ones are cut, and as they are in a pipe."""

    def __init__(self) -> None:
        self.console: Console | None = None
        if sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it

            self.console = Console(highlight=False)

    def line(self, text: str, style: str = "") -> None:
        if self.console is None:
            print_line(text)
            return
        from rich.text import Text  # noqa: PLC0415

        self.console.print(Text(one_line(text), style), no_wrap=True, overflow="ellipsis", crop=True)

    def blocks(self, diff: ImageDiff) -> None:
        """Print how many blocks would be written, and on a terminal which: each row has as many as fit."""
        if self.console is not None:
            changed = set(diff.changed_blocks)
            marks = "".join("█" if number in changed else "·" for number in range(diff.blocks))
            width = max(self.console.width, 1)
            # A column stands for several blocks if there are more than a screen of them.
            step = -(-diff.blocks // (width * 8))
            marks = "".join("█" if "█" in marks[at : at + step] else "·" for at in range(0, len(marks), step or 1))
            for at in range(0, len(marks), width):
                self.line(marks[at : at + width], "yellow")
        self.line(blocks_sentence(diff))
