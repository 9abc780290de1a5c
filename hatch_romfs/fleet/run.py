"""From jobs to results: workers start as the schedule allows, and each failure is that of one board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import RomfsError
from hatch_romfs.fleet.crew import POLL, Crew
from hatch_romfs.fleet.messages import Alive, Finished, Found
from hatch_romfs.fleet.outcome import failed_entry
from hatch_romfs.fleet.report import append, to_document
from hatch_romfs.fleet.schedule import Tally, may_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.fleet.messages import Event, Job
    from hatch_romfs.fleet.schedule import Limits

    OnEvent = Callable[[int, Event], None]


def run_jobs(jobs: Sequence[Job], limits: Limits, on_event: OnEvent) -> list[Finished | None]:
    """Do every job in a process of its own and return the results, None for jobs that were not started.

    ``on_event`` is called with the number of a job and its events; the first one says that it was started. After a
    Ctrl-C, the workers are stopped, their last events are passed on, and KeyboardInterrupt is raised.
    """
    results: list[Finished | None] = [None] * len(jobs)
    boards: dict[int, Found] = {}
    started = 0

    def receive(crew: Crew, timeout: float | None = None) -> None:
        received = crew.receive(timeout)
        if received is None:
            return
        number, event = received
        if isinstance(event, Found):
            boards[number] = event
        if isinstance(event, Finished):
            event = results[number] = record_crash(event, jobs[number], boards.get(number))
        on_event(number, event)

    with Crew() as crew:
        try:
            while True:
                failed = sum(result is not None and result.result == "failed" for result in results)
                free = may_start(Tally(started, crew.running, failed), limits)
                for number in range(started, min(len(jobs), started + free)):
                    crew.start(number, jobs[number])
                    on_event(number, Alive())
                    started += 1
                if not crew.running:
                    return results
                receive(crew)
        except KeyboardInterrupt:
            crew.stop(lambda: receive(crew, POLL))
            raise


def record_crash(finished: Finished, job: Job, board: Found | None) -> Finished:
    """Add a failure to the report that its worker could not add, and return it with its entry."""
    if job.image is None or finished.entry is not None or finished.result != "failed":
        return finished
    entry = failed_entry(job, job.image, board, finished.reason, 0.0)
    hint = finished.hint
    if job.report is not None:
        try:
            append(Path(job.report), entry)
        except RomfsError as error:
            hint = f"{hint}\n{error.message}".strip()
    return finished._replace(entry=to_document(entry), hint=hint)
