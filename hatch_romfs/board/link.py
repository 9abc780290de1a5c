"""A serial line on which every wait has a deadline.

Timeouts of the port are set once, when it is opened: on network ports each change costs a round trip. Opening
a port raises DTR and RTS, as systems and pyserial do; nothing here changes the two lines unless it is asked to.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from hatch_romfs.board.opening import open_port
from hatch_romfs.errors import LinkError, LostLinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.opening import OpenPort

    Trace = Callable[[str, bytes], None]
    OnMessage = Callable[[str], None]
    OnActivity = Callable[[], None]

SLICE = 0.05
"""Seconds that one read of the port waits at most."""
WRITE_TIMEOUT = 20.0
"""Seconds in which a piece that is written must be taken."""
PIECE = 1024
"""Bytes written at once."""
KEPT = 200
"""How many of the last bytes a message shows."""
RETRY = 0.1
"""Seconds between two attempts to open a port that was lost."""
LONG_WAIT = 1.0
"""Seconds after which a message says what is being waited for."""


def ignore_message(_text: str) -> None:
    """Default for messages: do nothing."""


def ignore_activity() -> None:
    """Do nothing: the default for callers that do not watch whether a link is alive."""


class Link:
    """An open port: ``sent`` and ``received`` count its bytes; ``trace`` gets all of them, for ``-vv``.

    ``open_again`` opens the port again after it was lost. ``on_message`` is called with what is being waited for.
    ``on_activity`` is called at each piece that is sent, and many times a second while something is waited for.
    """

    def __init__(  # noqa: PLR0913 - what a port is and who watches it
        self,
        port: OpenPort,
        name: str,
        trace: Trace | None = None,
        *,
        baudrate: int = 115200,
        open_again: Callable[[], OpenPort] | None = None,
        on_message: OnMessage = ignore_message,
    ) -> None:
        self.port = port
        self.name = name
        self.sent = 0
        self.received = 0
        self.bytes_per_second = baudrate / 10
        self.on_message = on_message
        self.on_activity: OnActivity = ignore_activity
        self._trace = trace
        self._open_again = open_again
        self._waiting = bytearray()

    def seconds_for(self, size: int) -> float:
        """Return how long ``size`` bytes take at the speed of the port."""
        return size / self.bytes_per_second

    def write(self, data: bytes) -> None:
        """Send everything; raises LinkError."""
        with self._lost():
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                self.port.write(piece)
                self.sent += len(piece)
                self.on_activity()
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

    def receive(self) -> bytes:
        """Return what has arrived, after a short wait if nothing has; raises LostLinkError."""
        if not self._waiting:
            self._receive()
        return self._take(len(self._waiting))

    def put_back(self, data: bytes) -> None:
        """Let bytes that were received be the next to be read."""
        self._waiting[:0] = data

    def drain(self, quiet: float, timeout: float, ending: bytes = b"") -> None:
        """Drop what comes until it ends with ``ending``, nothing has for ``quiet`` seconds, or ``timeout`` is over."""
        deadline = time.monotonic() + timeout
        last = time.monotonic()
        tail = b""
        self._waiting.clear()
        while time.monotonic() < min(deadline, last + quiet):
            if self._receive():
                last = time.monotonic()
                tail = (tail + self._waiting)[-KEPT:]
            self._waiting.clear()
            if ending and tail.endswith(ending):
                return

    def close(self) -> None:
        """Close the port."""
        with suppress(OSError):  # a port that is gone cannot be closed properly
            self.port.close()

    def reopen(self, timeout: float) -> None:
        """Close the port and open it again: a port can disappear for seconds when a board resets.

        It is found again by its USB serial number, also under another name, or else by its name. Bytes that were
        received and not read yet are dropped. Raises LinkError when it is not back in ``timeout`` seconds.
        """
        if self._open_again is None:
            raise LinkError(f"{self.name}: the port was lost and cannot be opened again")
        self.close()
        self._waiting.clear()
        started = time.monotonic()
        silent = True
        while True:
            try:
                self.port = self._open_again()
            except LinkError as error:  # noqa: PERF203 - a retry
                waited = time.monotonic() - started
                if waited >= timeout:
                    raise LinkError(
                        f"{self.name}: the port was lost and is not back after {timeout:.0f} s: {error.message}",
                        hint="Check the cable, and run the same command again.",
                    ) from error
                if silent and waited >= LONG_WAIT:
                    silent = False
                    self.on_message(f"waiting for {self.name} to come back")
                time.sleep(RETRY)
            else:
                return

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
        self.on_activity()
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
        except OSError as error:  # pyserial's errors are of this kind
            if isinstance(error.__context__, TimeoutError) or "timeout" in str(error).lower():
                raise LinkError(
                    f"{self.name}: the board stopped reading", hint="Reset the board, and run the same command again."
                ) from error
            raise LostLinkError(
                f"{self.name}: the link was lost: {error}", hint="Check the cable, and run the same command again."
            ) from error


def open_link(  # noqa: PLR0913 - the settings of a port
    name: str,
    *,
    baudrate: int = 115200,
    dtr: bool | None = None,
    rts: bool | None = None,
    trace: Trace | None = None,
    origin: str = "",
    find_again: Callable[[], str] | None = None,
    on_message: OnMessage = ignore_message,
) -> Link:
    """Open a port by its name, or by a URL that pyserial knows, for this program alone where the system can.

    ``dtr`` and ``rts`` are set before it is opened if they are not None. ``origin`` says in messages where the name
    comes from. ``find_again`` returns the port's name after it was lost; without it, the name stays the same.
    Raises LinkError.
    """

    def open_by(found: str) -> OpenPort:
        return open_port(
            found,
            baudrate=baudrate,
            dtr=dtr,
            rts=rts,
            read_timeout=SLICE,
            write_timeout=WRITE_TIMEOUT,
            origin=origin,
        )

    def open_again() -> OpenPort:
        return open_by(find_again() if find_again else name)

    return Link(open_by(name), name, trace, baudrate=baudrate, open_again=open_again, on_message=on_message)
