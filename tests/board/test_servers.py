"""A board behind a network: flashed through servers that others wrote, all on loopback."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import serial
from serial import rfc2217

from hatch_romfs import LinkError, flash
from hatch_romfs.board import link
from hatch_romfs.board.link import open_link
from hatch_romfs.board.reading import verify
from hatch_romfs.sim.board import SimulatedBoard
from tests import judges
from tests.board.boards import SIZE, make_image, options

# pyserial 3.5 calls methods of threads that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")


class Connection:
    """What PortManager writes to."""

    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected

    def write(self, data: bytes) -> None:
        self.connected.sendall(data)


def serve(listener: socket.socket, port: str, *, deaf: threading.Event | None = None) -> None:
    """Serve one client after another with pyserial's RFC 2217 server, until the listener is closed."""
    while True:
        try:
            connected = listener.accept()[0]
        except OSError:
            return
        with connected, serial.Serial(port, timeout=0.01) as device, contextlib.suppress(OSError):
            manager = rfc2217.PortManager(device, Connection(connected))
            pump(manager, device, connected, deaf)


def pump(manager, device, connected, deaf):
    connected.settimeout(0.005)
    while True:
        if deaf is not None and deaf.is_set():
            time.sleep(0.05)
            continue
        with contextlib.suppress(TimeoutError):
            data = connected.recv(1024)
            if not data:
                return
            device.write(b"".join(manager.filter(data)))
        if device.in_waiting:
            connected.sendall(b"".join(manager.escape(device.read(device.in_waiting))))


NO_MODEM_LINES = """
import serial
serial.Serial._update_dtr_state = serial.Serial._update_rts_state = lambda port: None
serial.Serial.cts = serial.Serial.dsr = serial.Serial.ri = serial.Serial.cd = False
"""
"""A pseudo-terminal has no modem lines, and pyserial's server and esptool's end where they are set or read."""


@pytest.fixture(autouse=True)
def _no_modem_lines(monkeypatch):
    for name in ("_update_dtr_state", "_update_rts_state"):
        monkeypatch.setattr(serial.Serial, name, lambda port: None)
    for name in ("cts", "dsr", "ri", "cd"):
        monkeypatch.setattr(serial.Serial, name, False)


@pytest.fixture
def board():
    with SimulatedBoard(options("rp2")) as running:
        yield running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, port: int, folder: Path):
    """Run a server until the block ends; it is ready once it accepts connections."""
    (folder / "sitecustomize.py").write_text(NO_MODEM_LINES)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 20
            while not listens(port):
                assert process.poll() is None, process.stdout.read().decode()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def listens(port: int) -> bool:
    """Say whether something listens on a port, without connecting: a server can have room for one client only."""
    return any(f":{port:04X} 00000000:0000 0A" in line for line in Path("/proc/net/tcp").read_text().splitlines())


def check_flash(board, url, tmp_path):
    """Flash an image that has every byte, also the one that Telnet doubles, and verify it in another session."""
    image = make_image(tmp_path / "image", 14_000)
    done = flash(image, url)
    assert done.mounted
    assert board.file.read_bytes()[:SIZE].startswith(image.read_bytes())
    verify(image, url)
    again = flash(image, url)
    assert again.plan.writes == 0


def test_the_server_of_pyserial(board, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, board.port), daemon=True).start()
        check_flash(board, f"rfc2217://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["rfc2217", "socket"])
def test_ser2net(scheme, board, tmp_path):
    port = free_port()
    telnet = "telnet(rfc2217)," if scheme == "rfc2217" else ""
    config = tmp_path / "ser2net.yaml"
    config.write_text(
        f"connection: &board\n  accepter: {telnet}tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev,{board.port},115200n81,local\n"
    )
    with running(
        judges.command("ser2net"),
        "-n",
        "-u",
        "-c",
        str(config),
        "-P",
        str(tmp_path / "pid"),
        port=port,
        folder=tmp_path,
    ):
        check_flash(board, f"{scheme}://127.0.0.1:{port}", tmp_path)


def test_the_server_of_esptool(board, tmp_path):
    port = free_port()
    with running(judges.command("esp_rfc2217_server"), "-p", str(port), board.port, port=port, folder=tmp_path):
        check_flash(board, f"rfc2217://127.0.0.1:{port}", tmp_path)


def test_a_socket_is_read_in_large_pieces(monkeypatch):
    """Each read of the port is a system call or two: their number must not grow with the number of bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = open_link(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        with listener.accept()[0] as connected:
            reads = []
            read = opened.port.read

            def counted(size):
                reads.append(size)
                return read(size)

            monkeypatch.setattr(opened.port, "read", counted)
            sent = b"x" * 49_999 + b"."
            threading.Thread(target=connected.sendall, args=(sent,), daemon=True).start()
            assert opened.read_until(b".", 10) == sent
            assert len(reads) < 1000
        opened.close()


def test_a_board_behind_a_socket_that_stops_reading_is_given_up(monkeypatch):
    monkeypatch.setattr(link, "WRITE_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = open_link(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        with listener.accept()[0]:
            with pytest.raises(LinkError, match="the board stopped reading"):
                opened.write(bytes(64 << 20))
            opened.close()


def test_a_board_on_a_line_that_stops_reading_is_given_up(monkeypatch):
    monkeypatch.setattr(link, "WRITE_TIMEOUT", 0.5)
    master, outside = os.openpty()
    opened = open_link(os.ttyname(outside))
    with pytest.raises(LinkError, match="the board stopped reading"):
        opened.write(bytes(1 << 20))
    opened.close()
    os.close(outside)
    os.close(master)


def test_a_board_behind_rfc2217_that_stops_reading_is_given_up(board):
    """There is no write timeout to set: it is pyserial's own, of 5 seconds."""
    deaf = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, board.port), kwargs={"deaf": deaf}, daemon=True).start()
        opened = open_link(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}")
        deaf.set()
        with pytest.raises(LinkError, match="the board stopped reading"):
            opened.write(bytes(64 << 20))
        deaf.clear()
        opened.close()
        listener.shutdown(socket.SHUT_RDWR)
