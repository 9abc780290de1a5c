"""The serial line of a simulated board: its two ends, its speed, and what its receive buffer can take."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass

PIECE = 4096


@dataclass(frozen=True, slots=True)
class Wire:
    """Properties of the line: see SimOptions; ``latency`` and ``vanish`` are seconds here."""

    baud: int = 0
    ring: int = 0
    latency: float = 0.0
    vanish: float = 0.0


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

    def unread(self) -> int:
        """Return how many bytes were sent from the master's side and not read."""
        import array  # noqa: PLC0415 - rarely needed
        import fcntl  # noqa: PLC0415 - not on Windows
        import termios  # noqa: PLC0415 - not on Windows

        count = array.array("i", [0])
        fcntl.ioctl(self.slave, termios.FIONREAD, count)
        return count[0]

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes that came from the other side, without waiting."""
        try:
            return os.read(self.master, size)
        except BlockingIOError:
            return b""

    def write(self, data: bytes | bytearray) -> int:
        """Send what fits, and return how many bytes did."""
        try:
            return os.write(self.master, data[:PIECE])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close both ends: to a host, the port is gone."""
        os.close(self.master)
        os.close(self.slave)


class Pace:
    """Lets bytes pass at a speed in baud, ten bits a byte; 0 is no limit."""

    def __init__(self, baud: int) -> None:
        self._rate = baud / 10
        # A step is a millisecond's bytes: fewer would keep the machine busy with turns for single bytes.
        self._step = max(1.0, self._rate / 1000)
        self._saved, self._at = 0.0, time.monotonic()

    def allowed(self, most: int = PIECE) -> int:
        """Return how many bytes may pass now."""
        if not self._rate:
            return most
        now = time.monotonic()
        # A thread that had to wait for a processor may catch up 10 ms.
        self._saved = min(10 * self._step, self._saved + (now - self._at) * self._rate)
        self._at = now
        return min(most, int(self._saved)) if self._saved >= self._step else 0

    def spend(self, count: int) -> None:
        """Note that so many bytes passed."""
        self._saved -= count

    def rest(self) -> None:
        """Note that the line was idle: it saves up nothing."""
        self._saved = min(self._saved, self._step)

    def wait(self) -> float | None:
        """Return the seconds until bytes may pass, None for now."""
        if not self._rate or self._saved >= self._step:
            return None
        return (self._step - self._saved) / self._rate + 0.0001


class Delay:
    """Bytes on their way to the host, which arrive ``latency`` seconds after they were sent."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._queue: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes) -> None:
        """Send bytes."""
        self._queue.append((time.monotonic() + self._latency, data))

    def take(self) -> bytes:
        """Return the bytes that have arrived."""
        arrived = bytearray()
        while self._queue and self._queue[0][0] <= time.monotonic():
            arrived += self._queue.popleft()[1]
        return bytes(arrived)

    def wait(self) -> float | None:
        """Return the seconds until bytes arrive, None where none are on their way."""
        return max(0.0, self._queue[0][0] - time.monotonic()) if self._queue else None
