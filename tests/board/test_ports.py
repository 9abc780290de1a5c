"""Which board is meant, and a line that keeps its deadlines; ports are those of pyserial, for there is none here."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import serial
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from hatch_romfs import LinkError, flash
from hatch_romfs.board import ports, session
from hatch_romfs.board.link import open_link
from hatch_romfs.board.ports import Port, choose_port, follow
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.board.session import PortOptions
from hatch_romfs.errors import PortUnavailableError, SettingsError
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import SIZE, held, image_bytes, put
from tests.commands import unmeasured


def found(name: str, serial_number: str | None, vid: int | None = 0x2E8A) -> ListPortInfo:
    port = ListPortInfo(name)
    port.serial_number, port.vid, port.description = serial_number, vid, "Board in FS mode"
    return port


@pytest.fixture
def plugged_in(monkeypatch):
    """Plug boards in: what the system would list is all that a test cannot have for real."""
    return lambda *boards: monkeypatch.setattr(list_ports, "comports", lambda: list(boards))


def test_the_only_board_is_meant(plugged_in):
    plugged_in(found("/dev/ttyS0", None, vid=None), found("/dev/ttyACM0", "E661"))
    assert choose_port(None).name == "/dev/ttyACM0"


def test_of_several_boards_none_is_guessed(plugged_in):
    plugged_in(found("COM7", "B"), found("COM5", "A"))
    with pytest.raises(LinkError) as caught:
        choose_port(None)
    assert caught.value.status == 4
    assert caught.value.message.startswith("2 boards could be meant:\n")
    assert [line for line in caught.value.message.splitlines() if "COM5" in line and "id:A" in line]
    assert caught.value.hint == "Name one of them with --port."
    assert choose_port("COM5").name == "COM5"
    assert choose_port("id:B").name == "COM7"


def test_ports_are_in_the_order_of_their_numbers(plugged_in):
    plugged_in(found("COM10", "A"), found("COM9", "B"), found("/dev/ttyACM2", "C"))
    assert [port.name for port in ports.list_ports()] == ["/dev/ttyACM2", "COM9", "COM10"]
    assert ports.list_ports()[0].usb_id == "2e8a:0000"


CP2102 = 0x10C4


def test_an_adapter_is_not_simply_a_board(plugged_in):
    """It can be part of a board, as on many with an ESP32, or a cable: with a board beside it, it must be named."""
    plugged_in(found("/dev/ttyACM0", "E661"), found("/dev/ttyUSB0", "0001", vid=CP2102))
    with pytest.raises(LinkError) as caught:
        choose_port(None)
    lines = caught.value.message.splitlines()
    assert lines[0] == "1 board and 1 USB serial adapter could be meant:"
    assert [line.endswith("(USB serial adapter)") for line in lines[1:]] == [False, True]
    assert "An adapter can be part of a board" in caught.value.hint
    assert choose_port("/dev/ttyUSB0").name == "/dev/ttyUSB0"


@pytest.mark.parametrize("asked", [None, "id:0001"])
def test_the_only_adapter_is_used_and_said_to_be_one(asked, plugged_in, monkeypatch):
    plugged_in(found("/dev/ttyUSB0", "0001", vid=CP2102))
    monkeypatch.setattr(session, "open_link", lambda *_, **__: None)
    messages: list[str] = []
    session._open(PortOptions(asked, on_message=messages.append), None)
    kind = ", a USB serial adapter (Silicon Labs)" if asked is None else ""
    assert messages == [f"using port /dev/ttyUSB0, serial number 0001{kind}"]


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
            while True:
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


def pseudo_terminal() -> tuple[int, str]:
    """Return the master of a new pseudo-terminal, which the test closes, and its name."""
    master, outside = os.openpty()
    name = os.ttyname(outside)
    os.close(outside)
    return master, name


# Each failure has advice of its own


def refusing() -> str:
    """Return a port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("/dev/nowhere", "cannot open /dev/nowhere: no such port", "Is it plugged in?"),
        ("/dev/null", "cannot open /dev/null: not a serial port", "Use a device such as"),
        ("/dev/null/x", "cannot open /dev/null/x: no such port", "Is it plugged in?"),
        ("/", "cannot open /: not a serial port", "Use a device such as"),
        (__file__, f"cannot open {__file__}: not a serial port", "Use a device such as"),
        ("foo://x", "cannot open foo://x: unknown kind of port 'foo'", "Use a device such as"),
        ("socket://x", "cannot open socket://x: it does not name a host and a port", "Write socket://HOST:PORT."),
        ("rfc2217://x:y", "cannot open rfc2217://x:y: it does not name a host and a port", "Write rfc2217://HOST:"),
        ("socket://no.invalid:1", "cannot open socket://no.invalid:1: unknown host 'no.invalid'", "Check the name"),
        ("rfc2217://no.invalid:1", "cannot open rfc2217://no.invalid:1: unknown host 'no.invalid'", "Check the name"),
    ],
)
def test_what_cannot_be_opened(name, message, hint):
    with pytest.raises(LinkError) as caught:
        open_link(name)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)
    assert caught.value.status == 4


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_nothing_listens_there(scheme):
    url = f"{scheme}://{refusing()}"
    with pytest.raises(LinkError) as caught:
        open_link(url)
    assert caught.value.message == f"cannot open {url}: connection refused"
    assert caught.value.hint == "Is the server running, and is this its port?"


def test_a_port_of_another_group(tmp_path):
    """In a process that is not root's, for root may open everything."""
    master, name = pseudo_terminal()
    Path(name).chmod(0)
    code = (
        "import grp, os, sys, serial; from hatch_romfs import LinkError; from hatch_romfs.board.link import open_link\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: open_link(sys.argv[1])\n"
        "except LinkError as error: print(error)"
    )
    environment = {**unmeasured(), "USER": "ada"}
    command = [sys.executable, "-c", code, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    os.close(master)
    assert (done.stdout, done.stderr) == (
        (
            f"cannot open {name}: permission denied\n"
            "Join the group dialout, then log out and in again: sudo usermod -aG dialout ada\n"
        ),
        "",
    )


def test_an_error_of_windows_is_known_by_its_text(monkeypatch):
    """There pyserial passes on nothing but text."""

    class Refused:
        def open(self):
            raise serial.SerialException(
                "could not open port 'COM5': PermissionError(13, 'Access is denied.', None, 5)"
            )

    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Refused())
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(LinkError) as caught:
        open_link("COM5")
    assert caught.value.message == "cannot open COM5: it is in use"


# Which port is meant


def test_a_serial_number_can_be_shortened(plugged_in):
    plugged_in(found("COM5", "E6614A"), found("COM6", "E6614B"), found("COM7", "E6"), found("COM8", None, vid=None))
    assert choose_port("id:E6614A").name == "COM5"
    assert choose_port("id:E6").name == "COM7"
    with pytest.raises(LinkError) as caught:
        choose_port("id:E66", "ROMFS_PORT")
    assert caught.value.message == (
        "more than one serial number starts with 'E66' (from ROMFS_PORT):\n"
        "  --port COM5, --port id:E6614A  Board in FS mode\n"
        "  --port COM6, --port id:E6614B  Board in FS mode"
    )


@pytest.mark.parametrize("asked", ["", "id:"])
def test_an_empty_name_is_a_usage_error(asked):
    with pytest.raises(SettingsError, match=f"--port {asked!r}: the .* is missing"):
        choose_port(asked)


def test_a_system_that_cannot_list_its_ports(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial.tools.list_ports", None)
    assert choose_port("/dev/ttyX").name == "/dev/ttyX"
    with pytest.raises(LinkError, match="the serial ports of this system cannot be listed"):
        choose_port(None)


def test_pyserial_is_imported_only_when_a_port_is_opened():
    code = (
        "import sys, hatch_romfs.board.flash, hatch_romfs.board.ports, hatch_romfs.cli.flash\n"
        "sys.exit('serial' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# A board that is away for a while


@pytest.fixture
def away(tmp_path):
    """Return a link to a port that disappears, and what brings it back: under its name, at another device."""
    masters = []
    name = tmp_path / "board"

    def plug_in() -> None:
        master, device = pseudo_terminal()
        masters.append(master)
        name.symlink_to(device)

    def pull_out() -> None:
        os.close(masters.pop())
        name.unlink()

    yield name, plug_in, pull_out
    for master in masters:
        os.close(master)


def test_a_port_that_disappears_is_opened_again(away):
    name, plug_in, pull_out = away
    plug_in()
    said: list[str] = []
    opened = open_link(str(name), on_message=said.append)
    pull_out()
    with pytest.raises(LinkError, match="the link was lost"):
        opened.read(1, 5)
    threading.Timer(1.2, plug_in).start()
    opened.reopen(10)
    opened.write(b"x")
    assert said == [f"waiting for {name} to come back"]
    opened.close()


def test_a_port_that_stays_away(away):
    name, plug_in, pull_out = away
    plug_in()
    opened = open_link(str(name))
    pull_out()
    with pytest.raises(LinkError, match=f"{name}: the port was lost and is not back after 0 s: .*no such port"):
        opened.reopen(0.2)


def test_a_board_is_found_again_under_another_name(plugged_in):
    boards = found("ttyACM0", "A"), found("ttyACM1", "A"), found("ttyACM2", "B")
    plugged_in(*boards)
    again = follow(choose_port("ttyACM1"))
    assert again() == "ttyACM1"
    plugged_in(found("ttyACM1", "B"), found("ttyACM2", "A"))  # only one of its two ports is there yet
    with pytest.raises(PortUnavailableError, match="no board has the serial number 'A'"):
        again()
    plugged_in(found("ttyACM1", "B"), found("ttyACM3", "A"), found("ttyACM4", "A"))
    assert again() == "ttyACM4"
    assert follow(Port("COM1"))() == "COM1"


def test_a_board_that_is_not_plugged_in_yet_is_awaited(away):
    name, plug_in, _ = away
    said: list[str] = []
    threading.Timer(0.5, plug_in).start()
    opened = session._connect(PortOptions(str(name), wait=20, on_message=said.append), None)
    opened.close()
    assert said == [f"waiting for the board: cannot open {name}: no such port"]


def test_the_port_that_was_chosen_is_named(away, plugged_in):
    name, plug_in, _ = away
    plug_in()
    plugged_in(found(str(name), "E661"))
    said: list[str] = []
    for options in (PortOptions(), PortOptions("id:E"), PortOptions(str(name), origin="ROMFS_PORT")):
        session._connect(replace(options, on_message=said.append), None).close()
    assert said == [
        f"using port {name}, serial number E661",
        f"using port {name}, serial number E661",
        f"using port {name}, serial number E661 (from ROMFS_PORT)",
    ]
    session._connect(PortOptions(str(name), on_message=said.append), None).close()
    assert len(said) == 3


class OwnPort:
    """A port that a script opens in its own way."""

    name = "my port"

    def __init__(self, path):
        self.path = path
        self.opened = []

    def open(self, baudrate):
        self.opened.append(baudrate)
        return serial.serial_for_url(self.path, baudrate=baudrate, timeout=0.05)


def test_a_script_can_bring_a_port_of_its_own(tmp_path):
    image = put(tmp_path / "app.romfs", image_bytes(9000))
    with SimulatedBoard(SimOptions(size=SIZE, vanish=300)) as board:
        port = OwnPort(board.port)
        result = flash(image, PortOptions(source=port, baudrate=230400))
        assert held(board)[: result.size] == image.read_bytes()
        assert len(port.opened) > 1, "it disappears at each reset, and is opened again"
        assert set(port.opened) == {230400}
        board.close()
        with pytest.raises(PortUnavailableError, match="^cannot open my port: "):
            flash(image, PortOptions(source=port))
