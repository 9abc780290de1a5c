"""A serial line on which every wait has a deadline.

Timeouts of the port are set once, when it is opened: on network ports each change costs a round trip. Opening
a port raises DTR and RTS, as systems and pyserial do; nothing here changes the two lines unless it is asked to.
"""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import serial

from hatch_romfs.errors import LinkError, LostLinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Trace = Callable[[str, bytes], None]

SLICE = 0.05
"""Seconds that one read of the port waits at most."""
LOCKED = 0.5
"""Seconds in which another program may let go of the port."""
WRITE_TIMEOUT = 20.0
"""Seconds in which a piece that is written must be taken."""
PIECE = 1024
"""Bytes written at once."""
KEPT = 200
"""How many of the last bytes a message shows."""
BUSY = "Is another program using it, or, just after plugging in, ModemManager? Close it, or wait 20 seconds."
MISSING = "Is it plugged in? 'romfs-flash --list-ports' shows every port."


class Link:
    """An open port: ``sent`` and ``received`` count its bytes; ``trace`` is told of them, for ``-vv``."""

    def __init__(self, port: serial.SerialBase, name: str, trace: Trace | None = None) -> None:
        self.port = port
        self.name = name
        self.sent = 0
        self.received = 0
        self._trace = trace
        self._waiting = bytearray()

    def seconds_for(self, size: int) -> float:
        """Return the seconds that ``size`` bytes take at the port's speed, ten bits for each byte."""
        return size * 10 / int(self.port.baudrate)

    def write(self, data: bytes) -> None:
        """Send everything; raises LinkError."""
        with self._lost():
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                self.port.write(piece)
                self.sent += len(piece)
                if self._trace:
                    self._trace(">", piece)

    def read(self, size: int, timeout: float) -> bytes:
        """Return the next ``size`` bytes; raises LinkError when they are not there in ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while len(self._waiting) < size:
            self._fill(deadline, f"{size} bytes")
        return self._take(size)

    def read_until(self, ending: bytes, timeout: float, *, most: int = 1 << 20) -> bytes:
        """Return all bytes up to and with ``ending``.

        Raises LinkError when it has not come in ``timeout`` seconds or ``most`` bytes, however much else does.
        """
        deadline = time.monotonic() + timeout
        searched = 0
        while (at := self._waiting.find(ending, max(0, searched - len(ending)))) < 0:
            searched = len(self._waiting)
            if searched > most:
                raise LinkError(f"{self.name}: the board sends without end, {self._last()}")
            self._fill(deadline, repr(ending))
        return self._take(at + len(ending))

    def drain(self, quiet: float, timeout: float) -> None:
        """Drop what comes until nothing has for ``quiet`` seconds, or ``timeout`` is over."""
        deadline = time.monotonic() + timeout
        last = time.monotonic()
        self._waiting.clear()
        while time.monotonic() < min(deadline, last + quiet):
            if self._receive():
                last = time.monotonic()
            self._waiting.clear()

    def close(self) -> None:
        """Close the port."""
        self.port.close()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def _fill(self, deadline: float, what: str) -> None:
        """Wait for more; the deadline holds too where bytes come without end."""
        if time.monotonic() > deadline:
            raise LinkError(f"{self.name}: the board does not answer: waited for {what}, {self._last()}")
        self._receive()

    def _receive(self) -> int:
        with self._lost():
            data = self.port.read(1)
            if data:
                data += self.port.read(self.port.in_waiting)
        self.received += len(data)
        self._waiting += data
        if data and self._trace:
            self._trace("<", data)
        return len(data)

    def _last(self) -> str:
        return f"and last had {bytes(self._waiting[-KEPT:])!r}" if self._waiting else "and had nothing"

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except (serial.SerialException, OSError) as error:
            raise LostLinkError(
                f"{self.name}: the link was lost: {error}", hint="Check the cable, and run the same command again."
            ) from error


def open_link(
    name: str,
    *,
    baudrate: int = 115200,
    dtr: bool | None = None,
    rts: bool | None = None,
    trace: Trace | None = None,
) -> Link:
    """Open a port by its name, or by a URL that pyserial knows, for this program alone where the system can.

    ``dtr`` and ``rts`` are set before it is opened if they are not None. Raises LinkError.
    """
    try:
        port = serial.serial_for_url(
            name, baudrate=baudrate, timeout=SLICE, write_timeout=WRITE_TIMEOUT, exclusive=True, do_not_open=True
        )
        if dtr is not None:
            port.dtr = dtr
        if rts is not None:
            port.rts = rts
        _open(port)
    except (serial.SerialException, OSError, ValueError) as error:
        missing = getattr(error, "errno", None) == errno.ENOENT
        raise LinkError(f"cannot open {name}: {error}", hint=MISSING if missing else BUSY) from error
    return Link(port, name, trace)


def _open(port: serial.SerialBase) -> None:
    """Open a port; one that is locked may be held by a process that is just being started, for a moment."""
    deadline = time.monotonic() + LOCKED
    while True:
        try:
            port.open()
        except serial.SerialException as error:  # noqa: PERF203 - a retry
            if error.errno not in (errno.EAGAIN, errno.EBUSY) or time.monotonic() > deadline:
                raise
            time.sleep(SLICE)
        else:
            return
