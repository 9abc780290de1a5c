"""Progress bars on a terminal, from the events of builds, locks, and boards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task, TaskID

    from hatch_romfs import events


class _SpeedColumn(TransferSpeedColumn):
    """The speed of tasks that count bytes."""

    def render(self, task: Task) -> Text:
        """Return the speed, or nothing if the task counts something else."""
        return super().render(task) if task.fields["unit"] == "bytes" else Text()


@contextmanager
def progress_bars() -> Iterator[events.Report]:
    """Show a bar for each phase on standard error, and remove them at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _SpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def report(event: events.Progress) -> None:
            if event.phase not in tasks:
                tasks[event.phase] = bars.add_task(event.phase, total=event.total, unit=event.unit)
            bars.update(tasks[event.phase], completed=event.done, total=event.total)

        yield report
