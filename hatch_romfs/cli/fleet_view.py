"""How the work on many boards looks: a table on a terminal, a line for each board in a pipe."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hatch_romfs.cli.command import is_quiet, say, show_error, tell, warn
from hatch_romfs.cli.fleet_text import board_line, count_results, describe, wrap
from hatch_romfs.cli.show import count
from hatch_romfs.errors import one_line
from hatch_romfs.fleet.messages import Finished, Found, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.fleet.messages import Event


class View(Protocol):
    """A receiver of the events of the boards."""

    def on_event(self, number: int, event: Event) -> None:
        """Show an event of a board."""
        ...


@contextmanager
def view(labels: Sequence[str], machines: Sequence[str], *, json: bool, verbose: bool) -> Iterator[View]:
    """Show the events of boards while the block runs: as a table if standard error is a terminal, or else as lines.

    ``machines`` are the names of the machines that are known already, or "".
    """
    if json or is_quiet() or not sys.stderr.isatty():
        yield Lines(labels, json=json, verbose=verbose)
        return
    from hatch_romfs.cli.fleet_table import live_table  # noqa: PLC0415 - a pipe needs none of it

    with live_table(labels, machines) as table:
        yield table


class Lines:
    """A line for each board when it is finished; with ``-q`` only for those that failed."""

    def __init__(self, labels: Sequence[str], *, json: bool, verbose: bool) -> None:
        self._labels = labels
        self._json, self._verbose = json, verbose

    def on_event(self, number: int, event: Event) -> None:
        """Show an event of a board."""
        label = self._labels[number]
        match event:
            case Message(is_warning=True):
                warn(f"{label}: {event.text}")
            case Message() if not self._json:
                tell(f"{label}: {event.text}")
            case Found() if self._verbose and not self._json:
                tell(board_line(label, event))
            case Finished(result="failed") if is_quiet() and not self._json:
                show_error(one_line(f"{label}: {event.reason}"), None)
            case Finished() if not self._json:
                say(f"{label}: {describe(event)}")
                sys.stdout.flush()
            case _:
                pass


def show_summary(labels: Sequence[str], results: Sequence[Finished | None]) -> None:
    """Print how many boards ended in which way, and what to do about failures."""
    counted = count_results(results)
    words = {"verified": "verified", "done": "done already", "failed": "failed", "not_started": "not started"}
    parts = [f"{counted[key]:,} {text}" for key, text in words.items() if counted[key] or key == "verified"]
    say(f"{count(len(results), 'board')}: {', '.join(parts)}")
    sys.stdout.flush()
    hints: dict[str, list[str]] = {}
    for label, result in zip(labels, results, strict=True):
        if result is not None and result.hint:
            hints.setdefault(result.hint, []).append(label)
    for hint, affected in hints.items():
        for line in wrap(f"{', '.join(affected)}: {' '.join(hint.split(chr(10)))}", sys.stderr):
            tell(line)
