"""Many boards on a terminal: a row for each, with a bar while it is being written."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hatch_romfs.cli.command import say
from hatch_romfs.cli.fleet_text import describe, wrap
from hatch_romfs.errors import one_line
from hatch_romfs.events import Progress
from hatch_romfs.fleet.messages import Finished, Found, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import ConsoleRenderable

    from hatch_romfs.fleet.messages import Event

State = Literal["waiting", "running", "verified", "done", "failed", "other"]
STYLES: Final = {
    "verified": "green",
    "done": "green",
    "failed": "bold red",
    "running": "cyan",
    "waiting": "dim",
    "other": "dim",
}
RESULT_STYLES: Final = {"verified": "bold white on green", "done": "bold white on green", "failed": "bold white on red"}
"""How the result of a board looks that should be seen from a distance."""
_ORDER: Final[tuple[State, ...]] = ("running", "failed", "verified", "done", "waiting", "other")
"""Which rows matter most where there is no room for all."""
_REFRESH: Final = 8
"""Refreshes per second."""
_GAP: Final = 2
"""Columns after each column of the table."""
_LEAST_LABEL: Final = 13
"""The smallest number of columns of a label: the length of /dev/ttyACM10."""
_BAR: Final = 20
"""Columns of a bar."""
_OTHER_LINES: Final = 3
"""Lines of the terminal that are not rows: the summary, and the line of the cursor."""


@dataclass(slots=True)
class Row:
    """What is known about a board."""

    label: str
    state: State = "waiting"
    machine: str = ""
    phase: str = "connecting"
    done: int = 0
    total: int = 0
    text: str = ""

    def update(self, event: Event) -> None:
        """Update the row with an event."""
        match event:
            case Found():
                self.machine = event.machine
            case Message():
                self.text = event.text
            case Progress():
                self.phase, self.done, self.total, self.text = event.phase, event.done, event.total, ""
            case Finished():
                self.text = describe(event)
        if isinstance(event, Finished):
            self.state = "verified" if event.result == "identified" else event.result
        else:
            self.state = "running"


def choose_rows(rows: Sequence[Row], room: int) -> list[Row]:
    """Return the rows that matter most, as many as there is room for, in their order."""
    if len(rows) <= room:
        return list(rows)
    by_importance = sorted(range(len(rows)), key=lambda number: (_ORDER.index(rows[number].state), number))
    return [rows[number] for number in sorted(by_importance[: max(0, room)])]


def summary(rows: Sequence[Row]) -> Text:
    """Return how many boards are in each state."""
    counts = {state: sum(row.state == state for row in rows) for state in _ORDER}
    parts = [Text(f"{number:,} {state}", STYLES[state]) for state, number in counts.items() if number]
    return Text(", ").join(parts)


def render(rows: Sequence[Row], width: int) -> Table:
    """Return rows as a table; texts that are too long for the terminal end in an ellipsis."""
    table = Table(box=None, show_header=False, expand=False, padding=(0, _GAP, 0, 0), width=width)
    for column in _widths(rows, width):
        table.add_column(no_wrap=True, overflow="ellipsis", width=column)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        label = Text(one_line(row.label), "" if row.state == "running" else STYLES[row.state])
        table.add_row(label, Text(one_line(row.machine), "dim"), _progress(row))
    return table


def is_cut(row: Row, rows: Sequence[Row], width: int) -> bool:
    """Tell whether the text of a row ends in an ellipsis."""
    return cell_len(one_line(row.text)) > width - sum(_widths(rows, width)) - 3 * _GAP


def _widths(rows: Sequence[Row], width: int) -> tuple[int, int]:
    """Return the columns of the labels and of the machines."""
    label = max((cell_len(one_line(row.label)) for row in rows), default=0)
    machine = max((cell_len(one_line(row.machine)) for row in rows), default=0)
    return min(label, max(_LEAST_LABEL, width // 4)), min(machine, width // 4)


def _progress(row: Row) -> ConsoleRenderable:
    """Return the last column of a row: a bar and a phase, or a text."""
    if row.state != "running" or row.text or not row.total:
        text = row.text or (row.phase if row.state == "running" else row.state)
        return Text(one_line(text), STYLES[row.state] if row.state != "running" else "")
    cell = Table.grid(padding=(0, 1, 0, 0))
    cell.add_column(width=_BAR)
    cell.add_column(no_wrap=True, overflow="ellipsis")
    percent = 100 * row.done // row.total
    cell.add_row(ProgressBar(row.total, row.done, width=_BAR), Text(f"{percent:>3} % {row.phase}"))
    return cell


class LiveTable:
    """The table while the boards are being written."""

    def __init__(self, labels: Sequence[str], console: Console) -> None:
        self.rows = [Row(label) for label in labels]
        self._console = console

    def on_event(self, number: int, event: Event) -> None:
        """Show an event of a board."""
        self.rows[number].update(event)
        if isinstance(event, Message) and event.is_warning:
            self._console.print(Text(one_line(f"{self.rows[number].label}: {event.text}"), "yellow"))

    def __rich__(self) -> ConsoleRenderable:
        """Return the table as it is now: as many rows as there is room for, and a summary."""
        chosen = choose_rows(self.rows, self._console.height - _OTHER_LINES)
        # The last line is not padded: a terminal prints ^C behind it, which must not begin another line.
        return Group(render(chosen, self._console.width), summary(self.rows))


def print_boards(labels: Sequence[str], boards: Sequence[Found | None], images: Sequence[str]) -> None:
    """Print the boards that were found on standard error, and which image each will get if they differ."""
    console = Console(stderr=True, highlight=False)
    headings = ("port", *(("image",) if images else ()), "firmware", "ID", "board")
    rows = [headings]
    for number, (label, board) in enumerate(zip(labels, boards, strict=True)):
        known = ("", "", "does not answer")
        if board is not None:
            by_id = f"id:{board.serial_number}" if board.serial_number else board.unique_id or ""
            known = (board.version, by_id, board.machine)
        rows.append(tuple(map(one_line, (label, *images[number : number + 1], *known))))
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", width=console.width)
    for column in list(zip(*rows, strict=True))[:-1]:
        width = min(max(map(cell_len, column)), console.width // 3)
        table.add_column(column[0], no_wrap=True, overflow="ellipsis", width=width)
    table.add_column(headings[-1], no_wrap=True, overflow="ellipsis", ratio=1)  # what the others leave
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    console.print(table)


class BenchTable(LiveTable):
    """The boards that are being written now; above them, the result of each is printed, with a bell and advice."""

    def __init__(self, labels: Sequence[str], console: Console) -> None:
        super().__init__((), console)
        self._labels = labels

    def on_event(self, number: int, event: Event) -> None:
        """Show an event of a board."""
        while len(self.rows) <= number:
            self.rows.append(Row(self._labels[len(self.rows)]))
        super().on_event(number, event)
        if isinstance(event, Finished):
            row = self.rows[number]
            known = "  ".join(filter(None, (row.label, row.machine, row.text)))
            self._console.print(Text(one_line(f" {known} "), RESULT_STYLES.get(row.state, "dim")))
            if event.hint:
                self._console.print(Text(one_line(" ".join(event.hint.split("\n"))), "dim"))
            if row.state in RESULT_STYLES:
                self._console.bell()

    def __rich__(self) -> ConsoleRenderable:
        """Return the boards that are being written, and how many ended in which way."""
        running = [row for row in self.rows if row.state == "running"]
        last = summary(self.rows) if self.rows else Text("waiting for a board", "dim")
        if not running:
            return last
        chosen = choose_rows(running, self._console.height - _OTHER_LINES)
        return Group(render(chosen, self._console.width), last)


@contextmanager
def bench_table(labels: Sequence[str]) -> Iterator[BenchTable]:
    """Show a bench on standard output; ``labels`` grows with its boards."""
    console = Console(highlight=False)
    table = BenchTable(labels, console)
    with Live(table, console=console, refresh_per_second=_REFRESH, transient=True):
        yield table


@contextmanager
def live_table(labels: Sequence[str], machines: Sequence[str]) -> Iterator[LiveTable]:
    """Show a table on standard error that follows the events, and leave the final one on standard output.

    After it, failures that were cut off are printed in full.
    """
    console = Console(stderr=True, highlight=False)
    table = LiveTable(labels, console)
    for row, machine in zip(table.rows, machines, strict=False):
        row.machine = machine
    try:
        with Live(table, console=console, refresh_per_second=_REFRESH, transient=True):
            yield table
    finally:
        is_terminal = sys.stdout.isatty()
        if is_terminal:
            Console(highlight=False).print(render(table.rows, console.width))
        for row in table.rows:
            if not is_terminal or (row.state == "failed" and is_cut(row, table.rows, console.width)):
                for line in wrap(f"{row.label}: {row.text or row.state}", sys.stdout):
                    say(line)
        sys.stdout.flush()
