"""The browser's half of Web Serial for tests: it knows the plugged-in boards, what a page may see, and moves bytes.

``serial_stand_in.js`` is the page's half. It connects over WebSockets on this machine: one for each document, which
asks for ports and hears of boards that come and go, and one for each open port. Text is JSON, binary is bytes of the
line. How it behaves is taken from Chromium: blink's modules/serial and services/device/serial.
"""

from __future__ import annotations

import json
import os
import select
import socket
import termios
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import serial
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

if TYPE_CHECKING:
    from hatch_romfs.sim.board import SimulatedBoard

POLL = 0.005
"""Seconds between two looks at which boards are there."""


class Plug:
    """A board's USB plug. ``sent`` and ``received`` count the bytes to and from the board, through every open port.

    ``token`` is the browser's name for the device, a new one each time that it is plugged in.
    """

    def __init__(self, board: SimulatedBoard, ids: dict[str, int], number: str | None) -> None:
        self.path, self.ids, self.number = Path(board.port), ids, number
        self.is_in = True
        self.seen: Path | None = None
        self.token = ""
        self.sent = self.received = 0
        self.opened = 0
        self.signals: list[dict[str, bool]] = []
        """What a page has set with setSignals()."""

    def unplug(self) -> None:
        """Pull the cable."""
        self.is_in = False

    def plug_in(self) -> None:
        """Put the cable back."""
        self.is_in = True

    @property
    def info(self) -> dict[str, Any]:
        return {"token": self.token, "info": self.ids}


class Bridge:
    """Serves plugs to the pages of tests at ``url``. ``choice`` is what the user takes in the browser's dialog."""

    def __init__(self) -> None:
        self.plugs: list[Plug] = []
        self.choice: Plug | None = None
        self.filters: list[Any] = []
        """What the pages' dialogs were limited to."""
        self._allowed: set[object] = set()  # tokens, and devices that the browser knows again
        self._documents: set[ServerConnection] = set()
        self._lines: set[_Line] = set()
        self._tokens = 0
        self._lock = threading.RLock()
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._server.serve_forever, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def plug_in(
        self, board: SimulatedBoard, ids: tuple[int, int] | None = (0x2E8A, 0x0005), number: str | None = "E660"
    ) -> Plug:
        """Plug a board in, with USB ids and a serial number or without, and let it be the user's choice."""
        named = {} if ids is None else {"usbVendorId": ids[0], "usbProductId": ids[1]}
        plug = Plug(board, named, number and f"{number}{len(self.plugs)}")
        with self._lock:
            self.plugs.append(plug)
            self.choice = plug
            self._look()
        return plug

    def allow(self, plug: Plug) -> None:
        """Give pages the permission that the user's choice gives."""
        with self._lock:
            self._allowed |= {plug.token, _identity(plug)}

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        for line in list(self._lines):
            line.stop()
        for thread in self._threads:
            thread.join()

    # Which boards are there

    def _watch(self) -> None:
        while not self._closing.wait(POLL):
            with self._lock:
                self._look()

    def _look(self) -> None:
        """Take note of boards that came or went, as udev's events would tell."""
        for plug in self.plugs:
            found = _target(plug)
            if found == plug.seen:
                continue
            if plug.seen is not None:
                self._tell(plug, connected=False)
                for line in list(self._lines):
                    if line.plug is plug:
                        line.lose()
                plug.token = ""
            plug.seen = found
            if found is not None:
                self._tokens += 1
                plug.token = f"{self._tokens}"
                self._tell(plug, connected=True)

    def _may_see(self, plug: Plug) -> bool:
        # Without a serial number a device is only known until it is unplugged.
        return bool(plug.token) and (plug.token in self._allowed or _identity(plug) in self._allowed)

    def _tell(self, plug: Plug, *, connected: bool) -> None:
        if self._may_see(plug):
            message = json.dumps({"event": "connect" if connected else "disconnect", "port": plug.info})
            for document in list(self._documents):
                with suppress(ConnectionClosed):
                    document.send(message)

    # What pages ask for

    def _serve(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            address = urlsplit(connection.request.path)
            if address.path == "/":
                self._serve_document(connection)
            else:
                query = {name: int(values[0]) for name, values in parse_qs(address.query).items()}
                self._serve_line(connection, address.path.removeprefix("/"), query["baudRate"], query["bufferSize"])

    def _serve_document(self, connection: ServerConnection) -> None:
        with self._lock:
            self._documents.add(connection)
        try:
            for message in connection:
                asked = json.loads(message)
                with self._lock:
                    answer = getattr(self, f"_{asked['ask']}")(asked)
                connection.send(json.dumps({"answer": asked["number"], "value": answer}))
        finally:
            with self._lock:
                self._documents.discard(connection)

    def _ports(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        return [plug.info for plug in self.plugs if self._may_see(plug)]

    def _request(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Open the dialog, in which the user takes the choice if it is listed, and cancels otherwise."""
        self.filters.append(asked["filters"])
        plug = self.choice
        if plug is None or not plug.token:
            return None
        if asked["filters"] and not any(one.items() <= plug.ids.items() for one in asked["filters"]):
            return None
        self.allow(plug)
        return plug.info

    def _forget(self, asked: dict[str, Any]) -> None:
        for plug in self.plugs:
            if plug.token == asked["token"]:
                self._allowed -= {plug.token, _identity(plug)}
                for line in list(self._lines):
                    if line.plug is plug:
                        line.stop()

    def _serve_line(self, connection: ServerConnection, token: str, baudrate: int, buffer: int) -> None:
        with self._lock:
            plug = next((plug for plug in self.plugs if plug.token == token and self._may_see(plug)), None)
            try:
                if plug is None:
                    raise OSError("no such device")  # noqa: TRY301 - the same refusal
                line = _Line(plug, connection, baudrate, buffer)
            except OSError:  # it went, or another program has it
                connection.send(json.dumps({"opened": False}))
                return
            self._lines.add(line)
        try:
            connection.send(json.dumps({"opened": True}))
            line.serve()
        finally:
            with self._lock:
                self._lines.discard(line)


class _Line:
    """An open port of a page: what ``SerialPortImpl`` of Chromium's device service is."""

    def __init__(self, plug: Plug, connection: ServerConnection, baudrate: int, buffer: int) -> None:
        self.plug = plug
        plug.opened += 1
        self._port = serial.Serial(str(plug.path), baudrate, timeout=0, exclusive=True)
        self._connection = connection
        self._buffer = buffer
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
                with self._lock:
                    if asked is None:
                        self._out.append(message)
                    else:
                        self._obey(asked)
                self._waker.send(b".")
        except ConnectionClosed:
            pass
        finally:
            self._close()
        self._tell(closed=True)

    def _close(self) -> None:
        """Close the port; what is still on its way in either direction is dropped."""
        self.stop()
        self._thread.join()
        with suppress(OSError, termios.error):
            self._port.reset_output_buffer()
            self._port.reset_input_buffer()
        self._port.close()
        self._wake.close()
        self._waker.close()

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"room": int(count)}:
                self._room += count
            case {"flush": "receive"}:
                self._room = 0
                with suppress(OSError, termios.error):
                    self._port.reset_input_buffer()
                self._tell(flushed="receive")
            case {"flush": "transmit"}:
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
        try:
            if port in can_read:
                self._receive()
            if port in can_write:
                self._send()
        except BlockingIOError:
            return
        except OSError:  # the other end of the pseudo-terminal is closed
            self._lost = True

    def _receive(self) -> None:
        data = os.read(self._port.fd, min(self._room, 4096))
        if not data:
            self._lost = True
            return
        self._room -= len(data)
        self.plug.received += len(data)
        self._connection.send(data)

    def _send(self) -> None:
        with self._lock:
            if not self._out:
                return
            data = self._out.popleft()
            count = os.write(self._port.fd, data)
            if count < len(data):
                self._out.appendleft(data[count:])
        self.plug.sent += count
        self._tell(taken=count)

    def _tell(self, **what: object) -> None:
        self._connection.send(json.dumps(what))


def _identity(plug: Plug) -> object:
    """Return what the browser knows a device by when it comes back, or something that never comes back."""
    known = (*plug.ids.values(), plug.number)
    return known if plug.ids and plug.number else plug.token


def _target(plug: Plug) -> Path | None:
    """Return the name of the device that is there now: a board that resets may come back with another one."""
    try:
        return plug.path.readlink() if plug.is_in else None
    except OSError:
        return None


def wait_until(condition: Any, timeout: float = 10.0) -> None:
    """Wait for something that a thread or the browser is about to do."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(POLL)
