"""A serial port of a browser, for ``PortOptions``: this module runs in Pyodide.

JavaScript answers later, with a promise. ``run_sync`` suspends Python until then, so that the code that calls these
methods need not know; browsers call this JavaScript Promise Integration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.opening import OpenPort

READ_TIMEOUT: Final = 50
"""Milliseconds that a read waits for the first byte."""
WRITE_TIMEOUT: Final = 20_000
"""Milliseconds in which what is written must be taken."""


def run_sync(promise: Any) -> Any:  # noqa: ANN401 - JavaScript's
    """Return the value of a promise; raises KeyboardInterrupt if it was rejected because the user canceled.

    Raises OSError for every other rejection.
    """
    from pyodide.ffi import JsException, run_sync  # noqa: PLC0415 - only there

    try:
        return run_sync(promise)
    except JsException as error:
        if error.name == "AbortError":  # as a Ctrl-C would end it
            raise KeyboardInterrupt from None
        raise OSError(str(error.message).rstrip(".")) from None


class BrowserPort:
    """The port that a user chose: ``line`` is the page's ``SerialLine``."""

    def __init__(self, line: Any, wait_for: Callable[[Any], Any] = run_sync) -> None:  # noqa: ANN401 - JavaScript's
        self._line = line
        self._wait_for = wait_for

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self._line.name)

    def open(self, baudrate: int) -> OpenPort:
        """Open it; raises OSError."""
        self._wait_for(self._line.open(baudrate))
        return OpenBrowserPort(self._line, self._wait_for)


class OpenBrowserPort:
    """An open port of a browser. Each method raises OSError if the port is lost."""

    def __init__(self, line: Any, wait_for: Callable[[Any], Any]) -> None:  # noqa: ANN401 - JavaScript's
        self._line = line
        self._wait_for = wait_for
        self._received = b""

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read without waiting."""
        return len(self._received) + int(self._line.buffered)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; wait a short time for the first of them."""
        if not self._received:
            self._received = self._wait_for(self._line.receive(READ_TIMEOUT)).to_bytes()
        elif len(self._received) < size:
            self._received += self._line.take().to_bytes()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def write(self, data: bytes) -> int:
        """Send everything."""
        from pyodide.ffi import to_js  # noqa: PLC0415 - only there

        self._wait_for(self._line.write(to_js(data), WRITE_TIMEOUT))
        return len(data)

    def close(self) -> None:
        """Release the port."""
        self._wait_for(self._line.close())
