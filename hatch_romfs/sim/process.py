"""The process in which a simulated board's MicroPython runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_TIMEOUT = 1.0
"""Seconds that a process has to stop."""
_MOMENT = 0.3  # seconds in which a program that does not only compute has called the system
_PAUSE = 0.0002

_START = (
    "import fcntl, os, sys; fcntl.fcntl({life}, fcntl.F_SETOWN, os.getpid()); "
    "fcntl.fcntl({life}, fcntl.F_SETFL, os.O_ASYNC); "  # the end of the board's own process ends this one too (SIGIO)
    "os.environ['HOME'] = os.devnull; "  # or it would write its history into the user's
    "sys.path = [p for p in sys.path if p] + [{folder!a}]; "  # the working folder may have a micropython.py
    "import micropython; sys.exit(micropython.main())"
)


class Process:
    """MicroPython on a terminal. ``life`` becomes readable when it ends."""

    def __init__(self, terminal: int, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.life, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(  # noqa: S603 - this Python
                # Without -S, site-packages would be searched for things to start, which takes longer than the rest.
                [sys.executable, "-S", "-c", _START.format(life=other.fileno(), folder=_folder()), *arguments],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=environment,
                pass_fds=[other.fileno()],
                start_new_session=True,  # a Ctrl-C in the user's terminal is not for the board
            )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def bury(self, timeout: float) -> int:
        """End it if it has not ended after ``timeout`` seconds, and return its status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self.life.close()
        return status

    def is_running(self) -> bool:
        """Tell whether a program runs now, so that a Ctrl-C would interrupt it; False if the system does not say."""
        return bool(int(self._status().get("SigCgt", "0"), 16) >> (signal.SIGINT - 1) & 1)

    def is_computing(self) -> bool:
        """Tell whether it uses or waits for a processor, and does not sleep or wait for input."""
        return self._status().get("State", "").startswith("R")

    def is_sleeping(self) -> bool:
        """Tell whether it sleeps, and does not wait for input; False if the system does not say."""
        try:
            place = Path(f"/proc/{self._process.pid}/wchan").read_text()  # the function of the kernel that it waits in
        except OSError:
            return False
        waits_for_input = "wait_woken" in place or "tty" in place
        return len(place) > 1 and not waits_for_input and self._status().get("State", "").startswith("S")

    def interrupt(self) -> bool:
        """Interrupt the program, and tell whether there was one.

        Unlike a board's, its exception is raised wherever it is, and an allocation that is left that way locks the
        heap for good. So it gets a moment to call the system; a program that only computes is interrupted anywhere.
        """
        deadline = time.monotonic() + _MOMENT
        with suppress(ProcessLookupError):
            while self._process.poll() is None:
                self._stop()
                # A signal right after the end of the program would end MicroPython: look while it is stopped.
                running = self.is_running()
                now = not running or self._is_in_call() or time.monotonic() > deadline
                if running and now:
                    os.kill(self._process.pid, signal.SIGINT)
                os.kill(self._process.pid, signal.SIGCONT)
                if now:
                    return running
                time.sleep(_PAUSE)
        return False

    def _stop(self) -> None:
        """Stop it, so that its state cannot change."""
        os.kill(self._process.pid, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._status().get("State", "T")[0] not in "TtZX" and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def _is_in_call(self) -> bool:
        """Tell whether it is stopped in a system call; True if Linux does not say."""
        try:
            return not Path(f"/proc/{self._process.pid}/syscall").read_text().startswith(("-1", "running"))
        except OSError:
            return True

    def _status(self) -> dict[str, str]:
        """Return what Linux reports about it: ``SigCgt``, the signals it catches, and its ``State``."""
        try:
            text = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return {}
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@cache
def _folder() -> str:
    """Return where MicroPython's Python module is."""
    found = find_spec("micropython_module")
    return str(Path(found.origin).parent) if found and found.origin else ""
