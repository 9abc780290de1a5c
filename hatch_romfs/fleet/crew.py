"""Processes of workers, one for each board, and the events of all of them."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import BufferedReader
from typing import TYPE_CHECKING, Final, cast

from hatch_romfs.board.link import WRITE_TIMEOUT
from hatch_romfs.board.repl import REOPEN_TIMEOUT
from hatch_romfs.errors import LinkError
from hatch_romfs.fleet.messages import Alive, Finished, decode_event, encode_job
from hatch_romfs.fleet.report import LOCK_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import RawIOBase
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.fleet.messages import Event, Job

GRACE: Final = 20.0
"""Seconds that workers have to end after an interrupt: a board may take some of them to answer."""
POLL: Final = 0.2
"""Seconds of a single wait: on Windows, a Ctrl-C does not interrupt a wait."""
SILENCE: Final = 2 * max(LOCK_TIMEOUT, REOPEN_TIMEOUT, WRITE_TIMEOUT)
"""Seconds without a sign of life after which a worker is killed: twice the longest of its waits that give none.

Workers give one each second while they wait for a board, however long that takes. They give none while they wait for
the lock of a report, for a port that was lost, or for a port to take a piece.
"""
_LONGEST_LOOK: Final = 1.0
"""Seconds between two looks at the workers that count at most: this process may have been stopped, as by Ctrl-Z."""
_KEPT: Final = 300
"""How many of the last characters that a crashed process printed are shown."""
# The working folder may contain modules that have the same names as ours.
_START: Final = (
    "import sys; sys.path = [path for path in sys.path if path]; from hatch_romfs.fleet.worker import main; main()"
)


class Crew:
    """Workers by number, for as long as a ``with`` block; none of their processes outlives it."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._inbox: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._looked = time.monotonic()

    @property
    def running(self) -> int:
        """How many workers have not sent ``Finished`` yet."""
        return len(self._workers)

    def start(self, number: int, job: Job) -> None:
        """Start a worker."""
        self._workers[number] = _Worker(number, job, self._inbox)

    def receive(self, timeout: float | None = None) -> tuple[int, Event] | None:
        """Return the next event and the number of its worker; None if there is none in ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            self._kill_silent_workers()
            wait = POLL if deadline is None else max(0.0, min(POLL, deadline - time.monotonic()))
            with suppress(queue.Empty):
                number, event = self._inbox.get(timeout=wait)
                if number not in self._workers:  # it was killed at the moment in which it finished
                    continue
                if isinstance(event, Finished):
                    self._workers.pop(number).bury()
                return number, event
        return None

    def stop(self, receive: Callable[[], object]) -> None:
        """Interrupt every worker, and kill those that do not end; ``receive`` is called as long as events can come."""
        for end in (_Worker.interrupt, _Worker.kill):
            for worker in self._workers.values():
                end(worker)
            deadline = time.monotonic() + GRACE
            while self._workers and time.monotonic() < deadline:
                receive()

    def _kill_silent_workers(self) -> None:
        """Kill each worker that has given no sign of life for too long; that is the end of its board's work."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        for number, worker in self._workers.items():
            if worker.is_silent(passed):
                self._inbox.put((number, _hung()))
                worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop(lambda: self.receive(POLL))
        finally:  # also after a second Ctrl-C
            for worker in self._workers.values():
                worker.kill()
            for worker in self._workers.values():
                worker.bury()


class _Worker:
    """A process, and the thread that hands over its job and reads its events."""

    def __init__(self, number: int, job: Job, inbox: queue.SimpleQueue[tuple[int, Event]]) -> None:
        self._number, self._inbox = number, inbox
        self._silence = 0.0
        self._has_job = False
        self._process = subprocess.Popen(  # noqa: S603 - this Python
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,  # a thread that is blocked for good must not hold the lock of a buffer when Python ends
            start_new_session=os.name != "nt",  # a Ctrl-C is for the command, which then interrupts each worker once
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same, on Windows
        )
        self._stdin = cast("RawIOBase", self._process.stdin)
        self._stdout = BufferedReader(cast("RawIOBase", self._process.stdout))
        self._thread = threading.Thread(target=self._work, args=(encode_job(job),), daemon=True)
        self._thread.start()

    def is_silent(self, passed: float) -> bool:
        """Tell whether the last sign of life is too long ago, once; ``passed`` seconds more than at the last call."""
        before, self._silence = self._silence, self._silence + passed
        return before <= SILENCE < self._silence

    def interrupt(self) -> None:
        """Close its standard input; a process that has not taken its job has nothing to leave in good order."""
        if not self._has_job:
            self.kill()
            return
        with suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def bury(self) -> None:
        """Wait for its end; a process in a driver that hangs does not even end when killed."""
        self.interrupt()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
            self._thread.join(GRACE)

    def _work(self, job: bytes) -> None:
        """Hand over the job, and pass events on, the last of them when the process has ended.

        A process that does not take its job blocks this thread only, and that until it is killed.
        """
        with suppress(OSError):  # a process that is gone already: its end is an event
            left = memoryview(job)
            while left:
                left = left[self._stdin.write(left) :]
            self._has_job = True
        finished, rest = None, ""
        with self._stdout:
            for line in self._stdout:
                event = decode_event(line)
                self._silence = 0.0
                if isinstance(event, Finished):
                    finished = event
                elif isinstance(event, Alive):
                    pass
                elif event is not None:
                    self._inbox.put((self._number, event))
                else:
                    rest = line.decode(errors="replace").strip() or rest
        status = self._process.wait()
        with suppress(OSError):
            self._stdin.close()
        self._inbox.put((self._number, finished or _crashed(status, rest)))


def _hung() -> Finished:
    """Return the end of a process that gave no sign of life."""
    return Finished(
        "failed",
        LinkError.status,
        f"the process of this board gave no sign of life for {SILENCE:.0f} seconds and was killed",
        "Unplug the board, plug it in again, and run the same command again.",
    )


def _crashed(status: int, rest: str) -> Finished:
    """Return the end of a process that did not report it."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said = f": {rest[-_KEPT:]}" if rest else ""
    return Finished("failed", 1, f"the process of this board {how}{said}", "Run the same command again.")
