"""Progress bars on a terminal, from the events of builds, locks, and boards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task

    from hatch_romfs import events


class _SpeedColumn(TransferSpeedColumn):
    """The speed of tasks that count bytes."""

    def render(self, task: Task) -> Text:
        """Return the speed, or nothing if the task counts something else."""
        return super().render(task) if task.fields["unit"] == "bytes" else Text()


@contextmanager
def progress_bars() -> Iterator[events.Report]:
    """Show a bar for the current phase on standard error, and remove it at the end of the phase."""
    bars = _Bars()
    try:
        yield bars.report
    finally:
        bars.end()


class _Bars:
    """The bar of one phase at a time. Between phases, something else can be printed or asked."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def report(self, event: events.Progress) -> None:
        """Show how much of a phase is done."""
        if self._bar is None or event.phase != self._phase:
            self.end()
            self._begin(event)
        if self._bar is not None:
            self._bar.update(self._task, completed=event.done, total=event.total)
        if event.done >= event.total:
            self.end()

    def end(self) -> None:
        """Remove the bar, if there is one."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _begin(self, event: events.Progress) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            _SpeedColumn(),
            TimeRemainingColumn(),
        )
        self._phase = event.phase
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(event.phase, total=event.total, unit=event.unit)
        self._bar.start()
