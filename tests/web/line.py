"""An open serial port of a page: what ``SerialPortImpl`` of Chromium's device service is."""

from __future__ import annotations

import json
import os
import select
import socket
import termios
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import serial
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

    from tests.web.bridge import Plug


class Line:
    """The port of a plug, opened; raises OSError if it cannot be."""

    def __init__(self, plug: Plug, connection: ServerConnection, baudrate: int) -> None:
        self.plug = plug
        self._port = serial.Serial(str(plug.path), baudrate, timeout=0, exclusive=True)
        self._connection = connection
        self._room = 0  # bytes that the page's pipe can take
        self._out: deque[bytes] = deque()
        self._done = False
        self._lost = False
        self._wake, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def serve(self) -> None:
        """Do what the page says until it closes the port, or is gone."""
        self._thread.start()
        try:
            for message in self._connection:
                asked = None if isinstance(message, bytes) else json.loads(message)
                if asked == {"close": True}:
                    break
                if asked is None:
                    self._out.append(message)
                    self._send()
                else:
                    self._obey(asked)
                if asked or self._out:
                    self._waker.send(b".")
        except ConnectionClosed:
            pass
        finally:
            self._close()
        self._tell(closed=True)

    def _close(self) -> None:
        """Close the port; what the computer has not sent or the page not read is dropped."""
        self.stop()
        self._thread.join()
        with suppress(OSError, termios.error):
            self._port.reset_input_buffer()
        self._port.close()
        self._wake.close()
        self._waker.close()

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"room": int(count)}:
                with self._lock:
                    self._room += count
            case {"flush": "receive"}:
                with self._lock:
                    self._room = 0
                with suppress(OSError, termios.error):
                    self._port.reset_input_buffer()
                self._tell(flushed="receive")
            case {"flush": "transmit"}:
                with self._lock:
                    self._out.clear()
                self._tell(flushed="transmit")
            case {"signals": dict(signals)}:
                self.plug.signals.append(signals)

    def stop(self) -> None:
        """End it, as when the page is gone."""
        self._done = True
        with suppress(OSError):
            self._waker.send(b".")

    def lose(self) -> None:
        """Take the device away."""
        self._lost = True
        with suppress(OSError):
            self._waker.send(b".")

    def _run(self) -> None:
        with suppress(ConnectionClosed):
            while not self._done and not self._lost:
                self._turn()
            if self._lost:
                self._tell(lost=True)

    def _turn(self) -> None:
        port = self._port.fd
        reads = [self._wake, port] if self._room else [self._wake]
        writes = [port] if self._out else []
        can_read, can_write, _ = select.select(reads, writes, [], 1.0)
        if self._wake in can_read:
            self._wake.recv(4096)
        if port in can_write:
            self._send()
        if port in can_read:
            self._receive()

    def _receive(self) -> None:
        try:
            data = os.read(self._port.fd, min(self._room, 4096))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost = True
            return
        with self._lock:
            self._room = max(0, self._room - len(data))
        self.plug.received += len(data)
        self._connection.send(data)

    def _send(self) -> None:
        """Give the line what it takes now: either thread does that, one at a time."""
        with self._lock, suppress(BlockingIOError):
            while self._out and not self._lost:
                data = self._out.popleft()
                try:
                    count = os.write(self._port.fd, data)
                except BlockingIOError:
                    self._out.appendleft(data)
                    raise
                except OSError:  # the other end of the pseudo-terminal is closed
                    self.lose()
                    return
                if count < len(data):
                    self._out.appendleft(data[count:])
                self.plug.sent += count
                self._tell(taken=count)

    def _tell(self, **what: object) -> None:
        self._connection.send(json.dumps(what))
