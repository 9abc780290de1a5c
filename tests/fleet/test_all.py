"""``--all``, ``--watch-ports``, and questions: what is done with the boards that are plugged in."""

import os
import threading
import time
from contextlib import ExitStack

import pexpect
import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from hatch_romfs.cli import bench, command, fleet
from hatch_romfs.cli import flash as cli
from hatch_romfs.fleet import bench as plugged
from tests import judges
from tests.board.boards import Ran, held, image_bytes, options, put
from tests.board.faulty import FaultyBoard
from tests.fleet.support import lines

IMAGE = image_bytes(5000)


def usb(name, serial_number, usb_id=(0x2E8A, 5)):
    port = ListPortInfo(name)
    port.serial_number, (port.vid, port.pid), port.description = serial_number, usb_id, "Board in FS mode"
    return port


@pytest.fixture
def ports(monkeypatch):
    """Return the list of ports that the system lists."""
    found: list[ListPortInfo] = []
    monkeypatch.setattr(list_ports, "comports", lambda: list(found))
    return found


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "app.romfs", IMAGE)


@pytest.fixture
def romfs_flash(capsys):
    """Return what runs ``romfs-flash`` in this process, so that it sees the ports of the test."""

    def run(*arguments):
        try:
            status = command._status(cli.command, [str(one) for one in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def boards(ports):
    """Return what plugs a board in."""
    with ExitStack() as stack:

        def plug_in(serial_number, usb_id=(0x2E8A, 5), **more):
            board = stack.enter_context(FaultyBoard(options(**{"family": "rp2", **more})))
            ports.append(usb(board.port, serial_number, usb_id))
            return board

        yield plug_in


def test_all_boards_that_answer_are_written(boards, ports, romfs_flash, image):
    several = [boards("E1"), boards("E2", machine="OpenMV N6")]
    ports.append(usb("/dev/nothing", "GPS", (0x1546, 0x01A8)))
    serial = ListPortInfo("/dev/ttyS0")
    ports.append(serial)
    done = romfs_flash(image, "--all", "-v")
    assert done.status == 0, done.err
    assert done.out.endswith("2 boards: 2 verified\n")
    assert "warning: /dev/nothing is left out: cannot open /dev/nothing: no such port" in done.err
    assert "; if a board is there, --filter 1546:01a8 says so\n" in done.err
    assert "/dev/ttyS0" not in done.err
    assert f"{several[1].port}  OpenMV N6, MicroPython" in done.err
    assert all(held(board).startswith(IMAGE) for board in several)


def test_the_list_of_ports_shows_what_filters_take(boards, ports, romfs_flash):
    board = boards("E1", (0x2E8A, 5))
    ports.append(ListPortInfo("/dev/ttyS0"))
    done = romfs_flash("--list-ports")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"/dev/ttyS0  n/a\n{board.port}  Board in FS mode  2e8a:0005  id:E1\n"


@pytest.mark.parametrize("chosen", [("id:E2",), ("37c5:1206",), ("openmv",), ("37C5:1206", "OpenMV")])
def test_only_boards_that_match_the_filters_are_written(boards, romfs_flash, image, chosen):
    one, other = boards("E1"), boards("E2", (0x37C5, 0x1206), machine="OpenMV N6")
    filters = [word for text in chosen for word in ("--filter", text)]
    done = romfs_flash(image, "--all", *filters)
    assert (done.status, done.out[-20:]) == (0, "1 board: 1 verified\n"), done.err
    assert one.operations == []
    assert held(other).startswith(IMAGE)


@pytest.mark.parametrize(
    ("usb_id", "filters"), [((0x2E8A, 5), ()), ((0x10C4, 0xEA60), ("10c4:ea60",)), ((0x2E8A, 5), ("simulated",))]
)
def test_a_board_that_does_not_answer_has_failed(boards, ports, romfs_flash, image, usb_id, filters):  # noqa: PLR0917 - fixtures
    good = boards("E1", usb_id)
    ports.append(usb("/dev/nothing", "E2", usb_id))
    report = image.parent / "report.jsonl"
    chosen = [word for text in filters for word in ("--filter", text)]
    done = romfs_flash(image, "--all", *chosen, "--report", report)
    assert done.status == 4
    assert done.out.endswith("2 boards: 1 verified, 1 failed\n")
    assert "/dev/nothing: failed: cannot open /dev/nothing: no such port" in done.out
    assert held(good).startswith(IMAGE)
    found = {line["port"]: line["result"] for line in lines(report)}
    assert found == {good.port: "verified", "/dev/nothing": "failed"}


def test_a_silent_second_port_of_a_board_is_left_out(boards, ports, romfs_flash, image):
    board = boards("E1")
    ports.insert(0, usb("/dev/a-data-port", "E1"))
    done = romfs_flash(image, "--all")
    assert (done.status, done.out[-20:]) == (0, "1 board: 1 verified\n"), done.err
    assert f"/dev/a-data-port is left out: {board.port} is the same board" in done.err


def test_a_board_that_answers_too_late_to_be_filtered_is_filtered_when_it_does(boards, romfs_flash, image, monkeypatch):
    late = boards("E1", machine="OpenMV N6")
    asked = fleet._ask_boards
    monkeypatch.setattr(fleet, "_ask_boards", lambda *arguments: ({}, dict.fromkeys(asked(*arguments)[0], "silent")))
    done = romfs_flash(image, "--all", "--filter", "Pico")
    assert "is another board" in done.out
    assert held(late).count(0xFF) == len(held(late))


def test_quiet_shows_only_failures(boards, romfs_flash, image):
    boards("E1")
    bad = boards("E2", family="qemu")
    done = romfs_flash(image, "--all", "-q")
    assert (done.status, done.out) == (5, "")
    assert done.err == f"error: {bad.port}: partition 0 of Simulated board with qemu is read-only\n"


def test_no_board_matches(boards, romfs_flash, image):
    boards("E1")
    for text in ("id:F", "no such machine"):
        done = romfs_flash(image, "--all", "--filter", text)
        assert done.status == 4
        assert "no board was found" in done.err


def test_filters_choose_among_the_boards_of_a_fleet(boards, romfs_flash, image):
    one, other = boards("E1"), boards("E2", (0x37C5, 0x1206))
    fleet = put(
        image.parent / "fleet.toml",
        f'source = "app.romfs"\n[boards.a]\nport = "{one.port}"\n[boards.b]\nserial-number = "E2"\n'
        '[boards.c]\nport = "/dev/nowhere"\n'.encode(),
    )
    done = romfs_flash("--fleet", fleet, "--filter", "2e8a:0005")
    assert (done.status, done.out[-20:]) == (0, "1 board: 1 verified\n"), done.err
    assert held(one).startswith(IMAGE)
    assert other.operations == []


def test_two_ports_of_one_board_are_one_board(boards, ports, romfs_flash, image):
    board = boards("E1")
    alias = image.parent / "second"
    alias.symlink_to(board.port)
    ports.append(usb(str(alias), "E1"))
    done = romfs_flash(image, "--all", "--jobs", 1)
    assert (done.status, done.out[-20:]) == (0, "1 board: 1 verified\n"), done.err
    assert "is the same board" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--all", "--port", "COM5"], "--port cannot be used with --all"),
        (["--filter", "x"], "--filter is for --all, --watch-ports, and --fleet"),
        (["--jobs", "2"], "--jobs is for many boards, as with --all"),
        (["--expect", "2", "--all"], "--expect is for --watch-ports"),
        (["--all", "--dry-run"], "--dry-run cannot be used with --all"),
        (["--port", "a", "--port", "b", "-vv"], "-vv cannot be used with --port"),
        (["--report", "r", "--run", "app"], "--run cannot be used with --report"),
        (["--watch-ports", "--json"], "--json cannot be used with --watch-ports"),
        (["--all", "--jobs", "0"], "must be a number from 1 to 9999"),
        (["--fleet", "fleet.toml"], "IMAGE and --fleet: only one of these at a time"),
    ],
)
def test_options_that_do_not_go_together(romfs_flash, image, arguments, message):
    done = romfs_flash(image, *arguments)
    assert done.status == 2
    assert message in done.err


def test_more_than_one_port_is_for_writing(romfs_flash):
    assert romfs_flash("--query", "--port", "a", "--port", "b").status == 2


@pytest.mark.parametrize(("answer", "status"), [("n", 1), ("y", 0)])
def test_a_question_comes_before_boards_are_written(image, answer, status):
    with FaultyBoard(options("rp2")) as board, FaultyBoard(options("stm32")) as other:
        arguments = [str(image), "--port", board.port, "--port", other.port]
        process = pexpect.spawn(
            judges.command("romfs-flash"),
            [*arguments, "--report", f"{image}.jsonl"],
            timeout=60,
            encoding="utf-8",
            env=os.environ | {"COLUMNS": "160"},  # the names of the ports are long
        )
        process.expect(r"Write app 1.0 \(5,000 bytes\) to 2 boards\? \[y/N\] ")
        assert "Simulated board with rp2" in process.before
        process.sendline(answer)
        process.expect(pexpect.EOF)
        process.close()
        assert process.exitstatus == status
        assert held(board).startswith(IMAGE) == (answer == "y")


# A bench


@pytest.fixture
def bench_thread(romfs_flash, image, tmp_path, monkeypatch):
    """Return what runs ``--watch-ports`` while the test plugs boards in, and its result when it has ended."""
    monkeypatch.setattr(plugged, "UNPLUGGED", 0.3)
    monkeypatch.setattr(bench, "POLL", 0.05)
    results = []

    def start(*arguments):
        def run():
            results.append(romfs_flash(image, "--watch-ports", "--report", tmp_path / "r.jsonl", *arguments))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    return start, results


def wait_for_lines(path, count):
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text().count("\n") >= count) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(lines(path)) == count


def test_each_board_that_is_plugged_in_is_written_once(boards, ports, bench_thread, tmp_path):
    start, results = bench_thread
    there = boards("E0")
    thread = start("--expect", "3")
    time.sleep(0.5)
    first = boards("E1")
    wait_for_lines(tmp_path / "r.jsonl", 1)
    plugged_in = ports.pop()
    time.sleep(0.8)
    ports.append(plugged_in)  # again
    bad = boards("E2", family="qemu")
    wait_for_lines(tmp_path / "r.jsonl", 2)
    second, third = boards("E3"), boards("E4")
    thread.join(60)
    [done] = results
    assert done.status == 5
    assert done.out.endswith("4 boards: 3 verified, 1 failed\n")
    assert "1 board that is there now will not be written" in done.err
    assert f"{first.port}: has this image already" in done.out
    assert there.operations == bad.operations == []
    assert all(held(board).startswith(IMAGE) for board in (first, second, third))
    assert len(lines(tmp_path / "r.jsonl")) == 4


def test_ctrl_c_ends_the_bench(tmp_path):
    image = put(tmp_path / "app.romfs", IMAGE)
    process = pexpect.spawn(judges.command("romfs-flash"), [str(image), "--watch-ports"], timeout=60, encoding="utf-8")
    process.expect("plug in a board; Ctrl-C ends")
    process.expect("waiting for a board")
    process.sendintr()
    process.expect("0 boards: 0 verified, 0 failed")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
