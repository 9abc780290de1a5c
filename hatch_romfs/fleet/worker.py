"""The process of one board: it does what ``romfs-flash`` does for one board, and reports events on its output.

It works as long as its standard input is open. When the command closes that, or ends for any reason, the process is
interrupted, as with Ctrl-C, and the board is left in an orderly state.
"""

from __future__ import annotations

import _thread
import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.checks import describe_differences
from hatch_romfs.board.flash import flash
from hatch_romfs.board.ports import find_port
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.errors import RomfsError
from hatch_romfs.fleet.choice import machine_matches
from hatch_romfs.fleet.messages import Alive, Finished, Found, Job, Message, decode_job, encode_event
from hatch_romfs.fleet.outcome import failed_entry, verified_entry
from hatch_romfs.fleet.report import append, to_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import Session
    from hatch_romfs.events import Progress
    from hatch_romfs.fleet.messages import Event, ImageFile
    from hatch_romfs.fleet.report import Entry

    Send = Callable[[Event], None]

INTERVAL: Final = 0.1
"""Seconds between two events of the same phase."""
ALIVE: Final = 1.0
"""Seconds between two signs of life."""
INTERRUPTED: Final = 130
_STDIN, _STDOUT = 0, 1
_RECORDING: Final = threading.Lock()
"""Locked while a result is added to the report or sent: no interrupt comes between that and knowing that it is done."""


class _LeftAloneError(Exception):
    """Nothing is to be done with this board."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        super().__init__(finished.result)


def main() -> None:
    """Read a job from standard input, do it, and write events to standard output."""
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    job = decode_job(_read_line())
    threading.Thread(target=_end_with_the_command, daemon=True).start()
    with suppress(KeyboardInterrupt):
        do(job, _send)


def do(job: Job, send: Send) -> None:
    """Do a job and send events; the last one is ``Finished``."""
    task = _Task(job, send)
    try:
        finished = _finish(task, job)
        with _RECORDING:
            send(finished)
    except KeyboardInterrupt as error:
        send(task.fail(": ".join(filter(None, ("interrupted", str(error)))), "", INTERRUPTED))


def _finish(task: _Task, job: Job) -> Finished:
    try:
        return task.flash(job.image) if job.image else task.identify()
    except _LeftAloneError as error:
        return error.finished
    except RomfsError as error:
        return task.fail(error.message, error.hint or "", error.status)
    except Exception as error:  # noqa: BLE001 - a mistake of this program must not look like one of the board
        return task.fail(f"internal error: {error!r}", "", 1)


class _Task:
    """A job, and what is known about its board so far."""

    def __init__(self, job: Job, send: Send) -> None:
        self._job, self._send = job, send
        self._started = time.monotonic()
        self._found: Found | None = None
        self._entry: Entry | None = None
        self._report_is_lost = False
        self._sent: tuple[str, float] = ("", 0.0)
        self._alive_at = 0.0

    def identify(self) -> Finished:
        """Ask the board what it is."""
        with session(self._port()) as found:
            self._on_board(found.board)
        return Finished("identified")

    def flash(self, image: ImageFile) -> Finished:
        """Write the image, and add the result to the report before the board counts as verified."""
        job = self._job

        def on_flashed(_session: Session, result: FlashResult) -> None:
            entry = verified_entry(job, image, self._found, result, self._seconds)
            with _RECORDING:
                self._append(entry)
                self._entry = entry

        flash(
            image.path,
            self._port(),
            partition=job.partition,
            force=job.force,
            full=job.full,
            reset=job.reset,
            on_board=self._on_board,
            on_event=self._on_event,
            on_flashed=on_flashed,
        )
        return Finished("verified", entry=to_document(self._entry) if self._entry else None)

    def fail(self, message: str, hint: str, status: int) -> Finished:
        """Return a failure, which is added to the report too if an image was to be written."""
        names = "|".join(re.escape(name) for name in {self._job.port, self._found.port if self._found else ""} if name)
        # The port is named beside the reason already, wherever that is shown.
        reason = re.sub(rf"(^|: )(?:{names}): ", r"\1", " ".join(message.split("\n")))
        if self._entry is not None:  # the board was verified before that
            return Finished("verified", entry=to_document(self._entry))
        if self._job.image is None:
            return Finished("failed", status, reason, hint)
        entry = failed_entry(self._job, self._job.image, self._found, reason, self._seconds)
        try:
            with _RECORDING:
                self._append(entry)
        except RomfsError as error:
            hint = f"{hint}\n{error.message}".strip()
        return Finished("failed", status, reason, hint, to_document(entry))

    def _port(self) -> PortOptions:
        job = self._job
        return PortOptions(
            job.port,
            job.baudrate,
            job.dtr,
            job.rts,
            job.wait,
            on_message=lambda text: self._send(Message(text)),
            boot=job.boot,
            identify=True,
            on_activity=self._on_activity,
        )

    def _on_board(self, board: Board) -> None:
        """Report what was found, and leave a board alone that has the image already."""
        job = self._job
        port = find_port(job.port)
        self._found = Found(port.name, port.serial_number, board.unique_id, board.machine, board.version)
        self._send(self._found)
        if not machine_matches(board.machine, job.machines):
            raise _LeftAloneError(Finished("other"))
        if board.unique_id in job.done:
            raise _LeftAloneError(Finished("done"))
        if job.board and (difference := describe_differences(board, job.board)):
            self._send(Message(difference, is_warning=True))

    def _on_event(self, event: Progress) -> None:
        """Send an event, unless the same phase has sent one a moment ago."""
        phase, at = self._sent
        if event.phase != phase or event.done >= event.total or time.monotonic() >= at + INTERVAL:
            self._sent = (event.phase, time.monotonic())
            self._send(event)

    def _on_activity(self) -> None:
        """Give a sign of life, unless there was one a moment ago."""
        if time.monotonic() >= self._alive_at + ALIVE:
            self._alive_at = time.monotonic()
            self._send(Alive())

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _append(self, entry: Entry) -> None:
        """Add an entry to the report, if there is one; one that could not be written is not tried again."""
        if self._job.report is None or self._report_is_lost:
            return
        try:
            append(Path(self._job.report), entry)
        except RomfsError:
            self._report_is_lost = True
            raise


def _send(event: Event) -> None:
    """Write an event. A closed pipe is ignored: the end of standard input will interrupt this process."""
    with suppress(OSError):
        line = memoryview(encode_event(event))
        while line:
            line = line[os.write(_STDOUT, line) :]


def _read_line() -> bytes:
    """Return the first line of standard input; its buffer would be locked by the thread that waits for the end."""
    line = bytearray()
    while not line.endswith(b"\n"):
        data = os.read(_STDIN, 1 << 16)
        if not data:
            raise SystemExit(INTERRUPTED)
        line += data
    return bytes(line)


def _end_with_the_command() -> None:
    with suppress(OSError):
        while os.read(_STDIN, 1 << 16):
            pass
    with _RECORDING:
        if hasattr(signal, "pthread_kill"):  # this also ends a wait of the system
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()
