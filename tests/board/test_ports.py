"""Which board is meant, and a line that keeps its deadlines; ports are those of pyserial, for there is none here."""

import contextlib
import os
import socket
import threading
import time

import pytest
from serial.tools.list_ports_common import ListPortInfo

from hatch_romfs import LinkError
from hatch_romfs.board import ports
from hatch_romfs.board.link import open_link
from hatch_romfs.board.ports import choose_port
from hatch_romfs.board.repl import RawRepl


def found(name: str, serial_number: str | None, vid: int | None = 0x2E8A) -> ListPortInfo:
    port = ListPortInfo(name)
    port.serial_number, port.vid, port.description = serial_number, vid, "Board in FS mode"
    return port


@pytest.fixture
def plugged_in(monkeypatch):
    """Plug boards in: what the system would list is all that a test cannot have for real."""
    return lambda *boards: monkeypatch.setattr(ports, "comports", lambda: list(boards))


def test_the_only_board_is_meant(plugged_in):
    plugged_in(found("/dev/ttyS0", None, vid=None), found("/dev/ttyACM0", "E661"))
    assert choose_port(None) == "/dev/ttyACM0"


def test_of_several_boards_none_is_guessed(plugged_in):
    plugged_in(found("COM7", "B"), found("COM5", "A"))
    with pytest.raises(LinkError) as caught:
        choose_port(None)
    assert caught.value.status == 4
    assert caught.value.message.startswith("2 boards could be meant:\n")
    assert [line for line in caught.value.message.splitlines() if "COM5" in line and "id:A" in line]
    assert caught.value.hint == "Name one of them with --port."
    assert choose_port("COM5") == "COM5"
    assert choose_port("id:B") == "COM7"


def test_no_board(plugged_in):
    plugged_in(found("/dev/ttyS0", None, vid=None))
    with pytest.raises(LinkError, match="no board was found"):
        choose_port(None)
    with pytest.raises(LinkError, match="no board has the serial number 'X'"):
        choose_port("id:X")


@pytest.fixture
def peer():
    """Return what serves a connection on loopback with a function, and gives its URL for pyserial."""
    servers = []

    def serve(talk):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run() -> None:
            with server.accept()[0] as connection:
                talk(connection)

        threading.Thread(target=run, daemon=True).start()
        return f"socket://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()


def test_a_board_that_says_nothing_is_given_up(peer):
    link = open_link(peer(lambda connection: time.sleep(5)))
    started = time.monotonic()
    with pytest.raises(LinkError, match="the board does not answer: waited for b'>', and had nothing"):
        link.read_until(b">", timeout=0.3)
    assert time.monotonic() - started < 2
    link.close()


def test_a_board_that_talks_without_end_is_given_up(peer):
    def talk(connection):
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                connection.sendall(b"blah " * 100)

    link = open_link(peer(talk))
    started = time.monotonic()
    with pytest.raises(LinkError):
        link.read_until(b"never", timeout=1.0, most=1 << 16)
    with pytest.raises(LinkError, match="could not enter the raw REPL"):
        RawRepl(link).enter(timeout=0.5)
    assert time.monotonic() - started < 15
    link.close()


def test_a_link_that_is_lost(peer):
    link = open_link(peer(lambda connection: connection.sendall(b"hel")))
    with pytest.raises(LinkError, match="the link was lost") as caught:
        link.read_until(b"hello", timeout=5.0)
    assert caught.value.hint == "Check the cable, and run the same command again."
    link.close()


@pytest.mark.parametrize("said", [b"print(1)", b"__import__('os')", b"[" * 5000, b"\xff\xfe", b""])
def test_what_a_board_prints_is_never_run(said, peer):
    def talk(connection):
        connection.recv(100)
        connection.sendall(b"R\x00")
        connection.recv(100)
        connection.sendall(b"OK" + said + b"\x04\x04>")
        time.sleep(1)

    link = open_link(peer(talk))
    with pytest.raises(LinkError, match="which is no value"):
        RawRepl(link).value("x")
    link.close()


def test_a_port_that_another_program_holds():
    master, outside = os.openpty()
    name = os.ttyname(outside)
    first = open_link(name)
    started = time.monotonic()
    with pytest.raises(LinkError, match="cannot open") as caught:
        open_link(name)
    assert time.monotonic() - started < 3
    assert caught.value.hint.startswith("Is another program using it")
    timer = threading.Timer(0.2, first.close)
    timer.start()
    open_link(name).close()  # one that lets go in a moment is waited for
    timer.join()
    os.close(outside)
    os.close(master)


def test_a_port_that_is_not_there():
    with pytest.raises(LinkError, match="cannot open /dev/nowhere"):
        open_link("/dev/nowhere")
