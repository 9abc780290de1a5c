"""What the host sends to a simulated board: the receive buffer that it fills, and the Ctrl-C that interrupts a program.

Linux tells whether a program runs. On other systems, a Ctrl-C reaches only prompts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hatch_romfs.sim.wire import Pace

if TYPE_CHECKING:
    from hatch_romfs.sim.process import Process
    from hatch_romfs.sim.wire import Line, Wire

RAW_PASTE = b"\x05A\x01"
"""What starts raw-paste mode."""
PASTE_ABORT = b"\n)\x04"
"""What ends raw-paste mode with code that does not compile, as a board's Ctrl-C does."""

_ROOM = 1 << 20  # so much that a Ctrl-C behind a flood of bytes is still seen
_SETTLE = 0.1  # seconds in which a program that goes on after an interrupt has surely seen it
_HIDDEN = 0.5  # seconds in which a busy system has surely moved bytes to the other end of a terminal
_GRACE = 1.0  # seconds that a full buffer waits for a MicroPython that may be about to read


class Uplink:
    """The way up: ``sent`` counts the bytes that arrived, ``dropped`` those that did not fit into the buffer.

    ``process`` is the MicroPython that reads them from ``inner``; ``is_busy`` says that it deliberately reads nothing.
    """

    def __init__(self, inner: Line, wire: Wire) -> None:
        self.sent = self.dropped = 0
        self.process: Process | None = None
        self.is_busy = False
        self.pace = Pace(wire.baud)
        self._inner, self._ring = inner, wire.ring
        self._arrived, self._buffer = bytearray(), bytearray()
        self._interrupted = 0.0
        self._passed = (0.0, 0)
        self._full_since: float | None = None
        self._may_drop = self._pastes = False
        self._recent = b""

    def put(self, data: bytes) -> None:
        """Take bytes; 0x03 interrupts a program that runs, and is passed on only if none does."""
        self.sent += len(data)
        self._arrived += data
        self.sort()

    def sort(self) -> None:
        """Move what has arrived to the buffer, up to an interrupt that has to wait."""
        while self._arrived:
            plain, found, rest = self._arrived.partition(b"\x03")
            self._fill(plain)
            self._arrived = found + rest
            if found:
                if self._must_settle():
                    return
                if not self._interrupt():
                    self._fill(PASTE_ABORT if self._pastes else found)
                self._arrived = rest

    @property
    def has_arrived(self) -> bool:
        """Whether an interrupt, and what came after it, has to wait."""
        return bool(self._arrived)

    @property
    def is_filled(self) -> bool:
        """Whether there is something to pass on."""
        return bool(self._buffer)

    def pass_on(self) -> None:
        """Move bytes from the buffer to MicroPython's input."""
        count = self._inner.write(self._buffer)
        del self._buffer[:count]
        self._passed = (time.monotonic(), count + self._just_passed())

    def room(self) -> int:
        """Return how many bytes may be taken from the host now."""
        if len(self._arrived) + len(self._buffer) >= _ROOM:
            return 0
        allowed = self.pace.allowed()
        self._may_drop = self.is_busy
        if not self._ring or not allowed or self.is_busy:
            return allowed
        if self._arrived:
            return 0
        room = self._ring - max(self._unread(), self._just_passed())
        if room > 0:
            self._full_since = None
            return min(allowed, room)
        # The buffer is full because a program sleeps or computes, or because this machine has not let MicroPython run,
        # which happens to no board.
        self._full_since = self._full_since or time.monotonic()
        sleeps = self.process is not None and self.process.is_sleeping()
        self._may_drop = sleeps or time.monotonic() >= self._full_since + _GRACE
        return allowed if self._may_drop else 0

    def is_running(self) -> bool:
        """Tell whether a program runs now, so that a Ctrl-C would interrupt it; False if the system does not say."""
        return self.process is not None and self.process.is_running()

    def begin(self, process: Process) -> None:
        """Pass bytes to a MicroPython that has just started."""
        self.process, self.is_busy, self._pastes = process, False, False

    def forget(self) -> None:
        """Lose what was on its way."""
        self._arrived.clear()
        self._buffer.clear()

    def _fill(self, data: bytes | bytearray) -> None:
        """Put bytes into the buffer, and drop what does not fit."""
        self._follow_paste(data)
        if self._may_drop:
            room = max(0, self._ring - self._unread())
            self.dropped += max(0, len(data) - room)
            data = data[:room]
        self._buffer += data

    def _follow_paste(self, data: bytes | bytearray) -> None:
        """Keep track of whether MicroPython is in raw-paste mode, where the unix port takes a Ctrl-C for code."""
        recent = self._recent + bytes(data)
        self._recent = recent[-2:]
        if self._pastes:
            self._pastes = b"\x04" not in data
        elif RAW_PASTE in recent and not self.is_running():
            self._pastes = b"\x04" not in recent.partition(RAW_PASTE)[2]

    def _unread(self) -> int:
        """Return how many bytes MicroPython has yet to read."""
        return self._inner.unread() + len(self._buffer)

    def _just_passed(self) -> int:
        """Return how many bytes the system may still be moving to where they count as unread, if nobody reads."""
        at, count = self._passed
        reads = self.process is None or not (self.process.is_computing() or self.process.is_sleeping())
        return 0 if reads or time.monotonic() > at + _HIDDEN else count

    def _must_settle(self) -> bool:
        """Tell whether an interrupt may still be on its way: at a second one the unix port, unlike a board, exits."""
        return time.monotonic() < self._interrupted + _SETTLE and self.is_running()

    def _interrupt(self) -> bool:
        """Interrupt the program, and tell whether there was one."""
        if self.process is None or not self.process.interrupt():
            return False
        self._interrupted = time.monotonic()
        return True
