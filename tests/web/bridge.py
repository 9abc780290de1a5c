"""The browser's half of Web Serial for tests: it knows the plugged-in boards, what a page may see, and moves bytes.

``serial_stand_in.js`` is the page's half. It connects over WebSockets on this machine: one for each document, which
asks for ports and hears of boards that come and go, and one for each open port. Text is JSON, binary is bytes of the
line. How it behaves is taken from Chromium: blink's modules/serial and services/device/serial.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.web.line import Line

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
        self._lines: set[Line] = set()
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

    def remove(self, plug: Plug) -> None:
        """Unplug a board that will not come back."""
        plug.unplug()
        with self._lock:
            self._look()
            self.plugs.remove(plug)

    def allow(self, plug: Plug) -> None:
        """Give pages the permission that the user's choice gives."""
        with self._lock:
            self._allowed |= {plug.token, _identity(plug)}

    def wait_closed(self) -> None:
        """Wait until no page has a port open."""
        wait_until(lambda: not self._lines)

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
                self._serve_line(connection, address.path.removeprefix("/"), query["baudRate"])

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

    def _serve_line(self, connection: ServerConnection, token: str, baudrate: int) -> None:
        with self._lock:
            plug = next((plug for plug in self.plugs if plug.token == token and self._may_see(plug)), None)
            try:
                if plug is None:
                    raise OSError("no such device")  # noqa: TRY301 - the same refusal
                line = Line(plug, connection, baudrate)
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
