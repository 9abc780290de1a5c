"""``romfs-flash --watch-ports``: a bench where boards are plugged in, written once, and unplugged."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.ports import list_ports
from hatch_romfs.cli import fleet_view
from hatch_romfs.cli.command import is_quiet, say, tell
from hatch_romfs.cli.show import count
from hatch_romfs.fleet.bench import Bench, identity
from hatch_romfs.fleet.choice import port_matches
from hatch_romfs.fleet.crew import Crew
from hatch_romfs.fleet.messages import Alive, Finished, Found
from hatch_romfs.fleet.run import record_crash
from hatch_romfs.fleet.schedule import JOBS

if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import AbstractContextManager

    from hatch_romfs.board.ports import Port
    from hatch_romfs.cli.fleet_view import View
    from hatch_romfs.fleet.choice import Filters
    from hatch_romfs.fleet.messages import Job

POLL: Final = 0.3
"""Seconds between two looks at the ports."""
PATIENCE: Final = 20.0
"""Seconds to wait for a port that was just plugged in: other programs look at it too."""


def watch_ports(options: Namespace, job: Job, filters: Filters) -> None:
    """Write to each board that is plugged in from now on, until Ctrl-C or until enough boards are verified.

    Exits with the status that fits if the last result of a board is a failure.
    """
    gc.enable()  # commands run without it, but this one has no end
    labels: list[str] = []
    job = replace(job, machines=filters.machines, wait=PATIENCE)
    watch = _Watch(job, filters, labels, jobs=options.jobs or JOBS)
    there = len(watch.present)
    left = f"; {count(there, 'board')} that {'is' if there == 1 else 'are'} there now will not be written"
    tell(f"plug in a board; Ctrl-C ends{left if there else ''}")
    try:
        with _view(options, labels) as view:
            watch.run(view, options.expect or 0)
    except KeyboardInterrupt:
        if watch.is_busy:
            raise
    parts = [f"{len(watch.verified):,} verified", f"{len(watch.failed):,} failed"]
    say(f"{count(len(watch.verified) + len(watch.failed), 'board')}: {', '.join(parts)}")
    if watch.failed:
        sys.exit(max(watch.failed.values()))


def _view(options: Namespace, labels: list[str]) -> AbstractContextManager[View]:
    if is_quiet() or not sys.stdout.isatty():
        return nullcontext(fleet_view.Lines(labels, json=False, verbose=options.verbose))
    from hatch_romfs.cli.fleet_table import bench_table  # noqa: PLC0415 - a pipe needs none of it

    return bench_table(labels)


class _Watch:
    """The boards of a bench: those that are being written, and how the others ended, by what identifies them."""

    def __init__(self, job: Job, filters: Filters, labels: list[str], *, jobs: int) -> None:
        self.present = [port for port in list_ports() if port.usb]
        self.verified: set[str] = set()
        self.failed: dict[str, int] = {}
        self.is_busy = False
        self._job, self._filters, self._labels, self._jobs = job, filters, labels, jobs
        self._bench = Bench(self.present, time.monotonic())
        self._done = set(job.done)
        self._waiting: deque[Port] = deque()
        self._running: dict[int, tuple[Port, Job]] = {}
        self._boards: dict[int, Found] = {}

    def run(self, view: View, expected: int) -> None:
        """Write to boards until ``expected`` ones are verified, or forever if that is 0."""
        with Crew() as crew:
            try:
                while not expected or len(self.verified) < expected or self._running:
                    if not expected or len(self.verified) < expected:
                        self._look(crew, view)
                    self._receive(crew, view)
            except KeyboardInterrupt:
                self.is_busy = bool(self._running)
                crew.stop(lambda: self._receive(crew, view))
                raise

    def _look(self, crew: Crew, view: View) -> None:
        """Start a worker for each new board, as many as may run at once."""
        busy = [identity(port) for port, _ in self._running.values()]
        ports = [port for port in list_ports() if port.usb and port_matches(port, self._filters)]
        self._waiting.extend(self._bench.update(ports, time.monotonic(), busy))
        while self._waiting and crew.running < self._jobs:
            port = self._waiting.popleft()
            number = len(self._labels)
            self._labels.append(port.name)
            job = replace(self._job, port=port.name, done=tuple(sorted(self._done)))
            self._running[number] = (port, job)
            crew.start(number, job)
            view.on_event(number, Alive())

    def _receive(self, crew: Crew, view: View) -> None:
        received = crew.receive(POLL)
        if received is None:
            return
        number, event = received
        if isinstance(event, Found):
            self._boards[number] = event
        elif isinstance(event, Finished):
            event = self._finish(number, event)
        view.on_event(number, event)

    def _finish(self, number: int, finished: Finished) -> Finished:
        port, job = self._running.pop(number)
        board = self._boards.pop(number, None)
        finished = record_crash(finished, job, board)
        unique_id = board.unique_id if board else None
        key = unique_id or identity(port)
        if finished.result == "failed":
            self.verified.discard(key)
            self._done.discard(key)
            self.failed[key] = finished.status
        elif finished.result in ("verified", "done"):
            self.failed.pop(key, None)
            self.failed.pop(identity(port), None)  # it did not even answer then
            self.verified.add(key)
            if unique_id:
                self._done.add(unique_id)
        return finished
