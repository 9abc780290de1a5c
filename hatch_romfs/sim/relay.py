"""What keeps a simulated board going: its MicroPython, two lines, and the thread that passes bytes between them.

MicroPython's unix port is no board yet: it ends at a soft reset, and in raw-paste mode it does not see a Ctrl-C. So it
gets a line of its own, the host another, and the thread in between does what hardware and firmware would: starts it
again, enters the raw REPL again, and turns a Ctrl-C into an interrupt while a program runs. Linux tells whether one
does; elsewhere a Ctrl-C reaches prompts only.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import RomfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READY = b"\0romfs-sim ready\0"
"""What MicroPython prints when the board is up; what comes before it never reaches the host."""
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
SOFT_RESET = b"MPY: soft reboot\r\n"
BOOT_TIMEOUT = 20.0
"""Seconds in which MicroPython must be up."""

_DOWN_ROOM = 4096
_UP_ROOM = 1 << 20  # so much that a Ctrl-C behind a flood of bytes is still seen
_PIECE = 4096
_SETTLE = 0.1  # seconds in which a program that goes on after an interrupt has surely seen it
_STOP_TIMEOUT = 1.0
_POLL = 0.002

_START = (
    "import fcntl, os, sys; fcntl.fcntl({life}, fcntl.F_SETOWN, os.getpid()); "
    "fcntl.fcntl({life}, fcntl.F_SETFL, os.O_ASYNC); "  # the end of the board's own process ends this one too (SIGIO)
    "os.environ['HOME'] = os.devnull; "  # or it would write its history into the user's
    "sys.path = [p for p in sys.path if p]; import micropython; sys.exit(micropython.main())"  # see trial.py
)


class Line:
    """A pseudo-terminal that changes no byte: ``name`` is what can be opened as a serial port."""

    def __init__(self) -> None:
        import pty  # noqa: PLC0415 - not on Windows

        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self.slave)
        self.make_raw()

    def make_raw(self) -> None:
        """Forget what a program has set."""
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - not on Windows

        tty.setraw(self.slave, termios.TCSANOW)

    def forget_input(self) -> None:
        """Drop what was sent and not read."""
        import termios  # noqa: PLC0415 - not on Windows

        termios.tcflush(self.slave, termios.TCIFLUSH)

    def close(self) -> None:
        """Close both ends: to a host, the port is gone."""
        os.close(self.master)
        os.close(self.slave)


class Relay:
    """A board that runs: ``name`` is its port, ``sent`` and ``received`` count the host's bytes up and down the wire.

    ``arguments`` returns MicroPython's for a start that will enter the raw REPL, or not.
    """

    def __init__(self, arguments: Callable[[bool], Sequence[str]], environment: Mapping[str, str]) -> None:
        self._arguments, self._environment = arguments, environment
        self.sent = self.received = 0
        self.failure: str | None = None
        self.host: Line | None = Line()
        self.name = self.host.name
        self._inner = Line()
        self._arrived, self._up, self._down, self._tail = bytearray(), bytearray(), bytearray(), b""
        self._interrupted = 0.0
        self._closing = False
        self._up_again = threading.Event()
        self._wake, self._waker = os.pipe()
        self._life: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=f"simulated board {self.name}", daemon=True)

    # What others call

    def start(self) -> None:
        """Start it and wait until it is up; raises RomfsError."""
        self._thread.start()
        self.wait()

    def reset(self) -> None:
        """Do what the reset button does, and wait until it is up again; raises RomfsError."""
        self._up_again.clear()
        if self._process is not None:
            self._process.kill()
        self.wait()

    def wait(self) -> None:
        """Wait until it is up; raises RomfsError."""
        if not self._up_again.wait(BOOT_TIMEOUT + 5):
            self.failure = self.failure or "it took too long"
        if self.failure is not None:
            raise RomfsError(f"the simulated board did not start: {self.failure}")

    def close(self) -> None:
        """End the thread, and with it everything it has started."""
        self._closing = True
        os.write(self._waker, b".")
        if self._thread.ident is not None:
            self._thread.join(BOOT_TIMEOUT)
        else:
            self._end()
        os.close(self._wake)
        os.close(self._waker)

    # What a board with faults changes

    def intake(self) -> int:
        """Return how many bytes may be taken from the host now."""
        return _PIECE

    def pause(self) -> float | None:
        """Return the seconds to wait at most for something to do, or None."""
        return None

    def from_host(self, data: bytes) -> None:
        """Take bytes that the host sent."""
        self.to_board(data)

    def from_board(self, data: bytes) -> None:
        """Take bytes that the board sent."""
        self.to_host(data)

    def starts_again(self) -> bool:
        """Tell whether MicroPython, which has ended, starts again."""
        return True

    # The thread

    def to_board(self, data: bytes) -> None:
        """Pass bytes on; 0x03 interrupts where a program runs, and is not passed on then."""
        self.sent += len(data)
        self._arrived += data
        self._sort()

    def _sort(self) -> None:
        """Pass on what has arrived, up to an interrupt that has to wait."""
        while self._arrived:
            plain, found, rest = self._arrived.partition(b"\x03")
            self._up += plain
            self._arrived = found + rest
            if found:
                if self._must_settle():
                    return
                self._up += b"" if self._interrupt() else found
                self._arrived = rest

    def to_host(self, data: bytes) -> None:
        """Pass bytes on."""
        self._down += data

    def kill(self) -> None:
        """End MicroPython at once; it starts again as after a power-on, and what was on its way up is lost."""
        self._forget()
        if self._process is not None:
            self._process.kill()

    def _forget(self) -> None:
        self._arrived.clear()
        self._up.clear()

    def cut(self) -> None:
        """Close the host's port for good."""
        if self.host is not None:
            self.host.close()
            self.host = None

    def waiting(self) -> int:
        """Return how many bytes MicroPython has yet to read."""
        import fcntl  # noqa: PLC0415 - not on Windows
        import termios  # noqa: PLC0415 - not on Windows

        count = array.array("i", [0])
        fcntl.ioctl(self._inner.slave, termios.FIONREAD, count)
        return count[0] + len(self._up) + len(self._arrived)

    def is_running(self) -> bool:
        """Tell whether a program runs now, so that a Ctrl-C would interrupt it; False where that cannot be told."""
        return bool(self._status().get("SigCgt", 0) >> (signal.SIGINT - 1) & 1)

    def _run(self) -> None:
        try:
            self._boot(raw=False)
            while not self._closing:
                self._turn()
        except _GoneError as error:
            self.failure = str(error)
        finally:
            self._end()
            self._up_again.set()

    def _end(self) -> None:
        self._closing = True
        self.cut()
        self._bury()
        self._inner.close()

    def _turn(self) -> None:
        """Wait until a byte can move, and move it."""
        assert self._life is not None  # noqa: S101 - it runs
        reads: list[int | socket.socket] = [self._wake, self._life]
        writes = [self._inner.master] if self._up else []
        if len(self._down) < _DOWN_ROOM:
            reads.append(self._inner.master)
        taken = self.intake() if len(self._arrived) + len(self._up) < _UP_ROOM else 0
        if self.host is not None:
            reads += [self.host.master] if taken else []
            writes += [self.host.master] if self._down else []
        else:
            self._down.clear()
        can_read, can_write, _ = select.select(reads, writes, [], _POLL if self._arrived else self.pause())
        self._sort()
        if self._inner.master in can_read:
            self._take_output()
        if self.host is not None and self.host.master in can_write:
            self._flush()
        if self._inner.master in can_write:
            del self._up[: _write(self._inner.master, self._up)]
        if self.host is not None and self.host.master in can_read:
            self.from_host(_read(self.host.master, taken))
        if self._life in can_read:
            self._restart()

    def _take_output(self) -> bool:
        data = _read(self._inner.master, _PIECE)
        self._tail = (self._tail + data)[-4:]
        if data:
            self.from_board(data)
        return bool(data)

    def _flush(self) -> None:
        if self.host is not None:
            count = _write(self.host.master, self._down)
            self.received += count
            del self._down[:count]

    def _restart(self) -> None:
        """Do a soft reset, or a hard one where MicroPython did not end by itself."""
        status = self._bury()
        while self._take_output():
            pass
        if not self.starts_again():
            raise _GoneError("it is dead")
        soft = status >= 0
        raw = soft and self._tail.endswith((b"OK\r\n", b"\x04\x04"))  # Ctrl-D there, or a program that wanted it
        if soft:
            self.to_host(SOFT_RESET)
        else:
            self._forget()
        self._flush()
        self._inner.forget_input()
        self._inner.make_raw()
        self._boot(raw=raw)

    def _boot(self, *, raw: bool) -> None:
        """Start MicroPython and wait until it is up, in the raw REPL or on the way to its prompt."""
        self._life, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(  # noqa: S603 - this Python
                [sys.executable, "-c", _START.format(life=other.fileno()), *self._arguments(raw)],
                stdin=self._inner.slave,
                stdout=self._inner.slave,
                stderr=self._inner.slave,
                env=self._environment,
                pass_fds=[other.fileno()],
                start_new_session=True,  # a Ctrl-C in the user's terminal is not for the board
            )
        first = self._wait_for(READY, b"")
        if raw:
            _write(self._inner.master, b"\x01")
            first = RAW_BANNER + self._wait_for(RAW_BANNER, first)
        self._tail = first[-4:]
        self.from_board(first)
        self._up_again.set()

    def _wait_for(self, ending: bytes, seen: bytes) -> bytes:
        """Read until ``ending`` and return what came after it."""
        assert self._life is not None  # noqa: S101 - it was just started
        deadline = time.monotonic() + BOOT_TIMEOUT
        while ending not in seen:
            reads: list[int | socket.socket] = [self._wake, self._life, self._inner.master]
            can_read, _, _ = select.select(reads, [], [], max(0.0, deadline - time.monotonic()))
            if self._closing:
                raise _GoneError("it was closed")
            data = _read(self._inner.master, _PIECE)
            seen += data
            failed = ending == READY and READY not in seen and b">>> " in seen  # a traceback, and then the prompt
            if failed or not can_read or (self._life in can_read and not data):
                raise _GoneError(seen.decode(errors="replace").strip()[-500:] or "it said nothing")
        return seen.partition(ending)[2]

    def _bury(self) -> int:
        """End MicroPython if it has not ended, and return its status."""
        if self._process is None:
            return 0
        try:
            status = self._process.wait(0 if self._closing else _STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        if self._life is not None:
            self._life.close()
        return status

    def _must_settle(self) -> bool:
        """Tell whether an interrupt may still be on its way: at a second one the unix port, unlike a board, exits."""
        return time.monotonic() < self._interrupted + _SETTLE and self.is_running()

    def _interrupt(self) -> bool:
        """Interrupt the program, and tell whether there was one."""
        if self._process is None or self._process.poll() is not None:
            return False
        # A signal that comes when the program is just over would end MicroPython: look while it stands still.
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGSTOP)
            deadline = time.monotonic() + _STOP_TIMEOUT
            while self._status().get("stopped") == 0 and time.monotonic() < deadline:
                time.sleep(0.0002)
            running = self.is_running()
            if running:
                os.kill(self._process.pid, signal.SIGINT)
                self._interrupted = time.monotonic()
            os.kill(self._process.pid, signal.SIGCONT)
            return running
        return False

    def _status(self) -> dict[str, int]:
        """Return what Linux says of MicroPython: ``SigCgt``, the signals it catches, and whether it is ``stopped``."""
        try:
            text = Path(f"/proc/{self._process.pid}/status").read_text() if self._process else ""
        except OSError:
            return {}
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if not fields:
            return {}
        return {"SigCgt": int(fields["SigCgt"], 16), "stopped": int(fields["State"][0] in "TtZX")}


class _GoneError(Exception):
    """This board will not come up again."""


def _read(master: int, size: int) -> bytes:
    try:
        return os.read(master, size)
    except BlockingIOError:
        return b""


def _write(master: int, data: bytes | bytearray) -> int:
    try:
        return os.write(master, data[:_PIECE])
    except BlockingIOError:
        return 0
