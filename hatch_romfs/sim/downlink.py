"""What a simulated board sends to the host, at the speed of its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.sim.wire import Delay, Pace

if TYPE_CHECKING:
    from hatch_romfs.sim.wire import Line, Wire

_ROOM = 4096
_PACED_ROOM = 64  # what a UART takes before a program that prints has to wait


class Downlink:
    """The way down: ``received`` counts the bytes that reached the host's line."""

    def __init__(self, wire: Wire) -> None:
        self.received = 0
        self._most = _PACED_ROOM if wire.baud else _ROOM
        self._pace, self._delay = Pace(wire.baud), Delay(wire.latency)
        self._is_direct = not wire.baud and not wire.latency
        self._buffer, self._arrived = bytearray(), bytearray()

    def put(self, data: bytes) -> None:
        """Take bytes from the board."""
        self._buffer += data

    @property
    def has_room(self) -> bool:
        """Whether the board can go on printing."""
        return len(self._buffer) < self._most

    @property
    def is_filled(self) -> bool:
        """Whether there are bytes that the host's line could take now."""
        return bool(self._buffer if self._is_direct else self._arrived)

    def flush(self, host: Line | None) -> None:
        """Move bytes towards the host as far as the line allows; without a host they are lost."""
        if host is None:
            self._buffer.clear()
            self._arrived.clear()
            return
        ready = self._buffer if self._is_direct else self._arrived
        if not self._is_direct:
            self._advance()
        if ready:
            count = host.write(ready)
            del ready[:count]
            self.received += count

    def wait(self) -> float | None:
        """Return the seconds after which bytes can move, None where none are on their way."""
        waits = [wait for wait in (self._delay.wait(), self._paced_wait()) if wait is not None]
        return min(waits, default=None)

    def _advance(self) -> None:
        """Let bytes onto the line at its speed, and off it after its latency."""
        if not self._buffer:
            self._pace.rest()
        elif len(self._arrived) < _ROOM and (passing := self._pace.allowed(len(self._buffer))):
            self._pace.spend(passing)
            self._delay.put(bytes(self._buffer[:passing]))
            del self._buffer[:passing]
        self._arrived += self._delay.take()

    def _paced_wait(self) -> float | None:
        if self._is_direct or not self._buffer or len(self._arrived) >= _ROOM:
            return None
        return self._pace.wait() or 0.0
