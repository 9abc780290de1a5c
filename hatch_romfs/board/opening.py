"""Opening a serial port through pyserial, and what to do about each way in which that fails."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from hatch_romfs.errors import LinkError, PortUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_TIMEOUT: Final = 0.5
"""Seconds to wait for a program that is about to release the port."""
POLL: Final = 0.05
"""Seconds between two attempts at a port that another program uses."""
READ_AHEAD: Final = 4096
"""Bytes read at once from a TCP connection."""

BUSY: Final = "Is another program using it, or, just after plugging in, ModemManager? Close it, or wait 20 seconds."
MISSING: Final = "Is it plugged in? 'romfs-flash --list-ports' shows every port; --wait waits for it."
_KINDS: Final = (
    "Use a device such as /dev/ttyACM0 or COM5, id:SERIAL, socket://HOST:PORT, rfc2217://HOST:PORT, or sim: for a"
    " simulated board."
)
_UNCONFIRMED: Final = "ign_set_control"
_NETWORK: Final = ("socket", "rfc2217")


class OpenPort(Protocol):
    """An open port, as pyserial and whatever else carries bytes provide it. Its methods raise OSError."""

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read without waiting."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; wait a short time for the first of them."""
        ...

    def write(self, data: bytes, /) -> int | None:
        """Send everything; must raise, not hang, when the other end stops reading."""
        ...

    def close(self) -> None:
        """Release the port."""
        ...


class PortSource(Protocol):
    """A port that a caller brings instead of the name of one, such as the port that a browser's user chose."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def open(self, baudrate: int, /) -> OpenPort:
        """Open it, also again after it was lost; raises OSError."""
        ...


def open_port(  # noqa: PLR0913 - the settings of a port
    name: str,
    *,
    baudrate: int,
    dtr: bool | None,
    rts: bool | None,
    read_timeout: float,
    write_timeout: float,
    origin: str = "",
) -> OpenPort:
    """Open a port, for this program alone where the system supports that.

    ``origin`` says in messages where the name of the port comes from. Raises LinkError, and PortUnavailableError
    where trying again later may help.
    """
    import serial  # noqa: PLC0415 - not needed before a port is opened

    scheme = name.partition("://")[0].lower() if "://" in name else ""
    shown = f"{name} (from {origin})" if origin else name
    if scheme in _NETWORK:
        _check_address(name, shown)
    try:
        port = serial.serial_for_url(
            _with_options(name) if scheme == "rfc2217" else name,
            baudrate=baudrate,
            timeout=read_timeout,
            # pyserial's RFC 2217 port refuses a write timeout; its socket has one of 5 seconds.
            write_timeout=None if scheme == "rfc2217" else write_timeout,
            exclusive=True,
            do_not_open=True,
        )
        if dtr is not None:
            port.dtr = dtr
        if rts is not None:
            port.rts = rts
        _open(port)
    except Exception as error:  # pyserial also raises ValueError, termios.error and whatever its URL handlers do
        raise _explain(name, shown, error) from error
    return SocketPort(port, read_timeout) if scheme == "socket" else port


class SocketPort:
    """pyserial's ``socket://`` port, read in large pieces: its ``in_waiting`` is never more than 1."""

    def __init__(self, port: Any, read_timeout: float) -> None:  # noqa: ANN401 - pyserial has no types
        self._port = port
        self._read_timeout = read_timeout
        self._buffer = b""

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read without waiting."""
        if not self._buffer and self._port.in_waiting:
            self._port.timeout = 0  # costs nothing here: a connection has no settings
            self._buffer = self._port.read(READ_AHEAD)
            self._port.timeout = self._read_timeout
        return len(self._buffer)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, waiting for them if there are none yet."""
        if not self._buffer:
            return bytes(self._port.read(1))  # more would be waited for
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def write(self, data: bytes) -> int | None:
        """Send everything."""
        return int(self._port.write(data))

    def close(self) -> None:
        """Close the connection."""
        self._port.close()


def _open(port: Any) -> None:  # noqa: ANN401 - pyserial has no types
    """Open a port; one that is locked may be about to be released by a process that is starting another."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            port.open()
        except OSError as error:  # noqa: PERF203 - a retry
            if error.errno not in (errno.EAGAIN, errno.EBUSY) or time.monotonic() > deadline:
                raise
            time.sleep(POLL)
        else:
            return


def _with_options(url: str) -> str:
    """Return an RFC 2217 URL with what lets pyserial go on where a server does not confirm DTR and RTS, as many do."""
    if _UNCONFIRMED in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}{_UNCONFIRMED}"


def _check_address(name: str, shown: str) -> None:
    """Check that a URL names a host and a port; raises LinkError."""
    address = urlsplit(name)
    try:
        complete = bool(address.hostname and address.port)
    except ValueError:  # a port that is not a number
        complete = False
    if not complete:
        raise LinkError(
            f"cannot open {shown}: it does not name a host and a port", hint=f"Write {address.scheme}://HOST:PORT."
        )


class _Cause(NamedTuple):
    """What went wrong, what to do about it, and whether it may be over in a moment."""

    text: str
    hint: str
    passing: bool = True


_CAUSES: Final = {
    errno.ECONNREFUSED: _Cause("connection refused", "Is the server running, and is this its port?"),
    errno.ETIMEDOUT: _Cause("the host does not answer", "Check its address and the network."),
    errno.ENOENT: _Cause("no such port", MISSING),
    errno.EBUSY: _Cause("it is in use", BUSY),
    errno.ENOTTY: _Cause("not a serial port", _KINDS, passing=False),
}
"""Causes by error number."""
_SAME_AS: Final = {
    errno.EHOSTUNREACH: errno.ETIMEDOUT,
    errno.ENETUNREACH: errno.ETIMEDOUT,
    errno.ENXIO: errno.ENOENT,
    errno.ENODEV: errno.ENOENT,
    errno.EAGAIN: errno.EBUSY,
    errno.EISDIR: errno.ENOTTY,
    errno.ENOTDIR: errno.ENOENT,
    errno.EINVAL: errno.ENOTTY,
    errno.EPERM: errno.EACCES,
}
"""Numbers that have the cause of another."""


def _explain(name: str, shown: str, error: Exception) -> LinkError:
    """Return the error to raise for one of pyserial, with advice of its own for each cause."""
    cause = _cause(name, error)
    kind = PortUnavailableError if cause.passing else LinkError
    return kind(f"cannot open {shown}: {cause.text}", hint=cause.hint)


def _cause(name: str, error: Exception) -> _Cause:
    if "://" in name and isinstance(error, ValueError):
        return _Cause(f"unknown kind of port {name.partition('://')[0]!r}", _KINDS, passing=False)
    for one in _chain(error):
        if isinstance(one, socket.gaierror):
            return _Cause(f"unknown host {urlsplit(name).hostname!r}", "Check the name of the host.", passing=False)
        if isinstance(one, TimeoutError):
            return _CAUSES[errno.ETIMEDOUT]
    for number in _numbers(error):
        known = _SAME_AS.get(number, number)
        if known == errno.EACCES:
            return _access_cause(name)
        if known in _CAUSES:
            return _CAUSES[known]
    return _Cause(str(error), "Reconnect the board, or try another speed with --baudrate.", passing=False)


def _access_cause(name: str) -> _Cause:
    if sys.platform == "win32":  # what Windows says of a port that another program uses
        return _CAUSES[errno.EBUSY]
    return _Cause("permission denied", _permission_hint(name))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for: pyserial turns most of them into text."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _numbers(error: BaseException) -> Iterator[int]:
    """Yield every ``errno`` in an error and its causes."""
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else next(iter(one.args), None)  # termios.error is no OSError
        if isinstance(number, int):
            yield number
    # On Windows pyserial only leaves the text: FileNotFoundError(2, …), PermissionError(13, …).
    if found := re.search(r"Error\((\d+),", str(error)):
        yield int(found[1])


def _permission_hint(name: str) -> str:
    """Return how to get access to a device on this system."""
    if sys.platform != "linux":
        return f"Check who can access it: ls -l {name}"
    import grp  # noqa: PLC0415 - not on Windows

    group = "dialout"
    try:
        found = Path(name).stat()
        if found.st_mode & stat.S_IWGRP and found.st_gid:
            group = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        pass
    user = os.environ.get("USER") or "$USER"
    return f"Join the group {group}, then log out and in again: sudo usermod -aG {group} {user}"
