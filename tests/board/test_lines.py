"""Serial lines as they are: slow, without flow control, and sometimes losing or damaging a byte."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hatch_romfs import flash
from hatch_romfs.board.reading import read
from hatch_romfs.board.session import PortOptions
from hatch_romfs.errors import RomfsError
from hatch_romfs.formats.micropython.records import MAGIC
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.boards import SIZE, held, image_bytes, put, signed_again
from tests.board.faulty import Faults, FaultyBoard

IMAGE = image_bytes(14_000)
EDITED = signed_again(IMAGE, 9000, b"changed")


@pytest.fixture
def images(tmp_path):
    return put(tmp_path / "first", IMAGE), put(tmp_path / "edited", EDITED)


@pytest.mark.parametrize("gc", [0, 20, 100, 250])
@pytest.mark.parametrize("ring", [256, 512])
@pytest.mark.parametrize("baud", [115_200, 460_800, 921_600])
def test_a_line_without_flow_control_loses_nothing(baud, ring, gc, images):
    """While the board collects garbage, erases or writes, nothing is on its way to it."""
    options = SimOptions(size=SIZE, baud=baud, ring=ring, gc=gc, erase=5, program=0.1)
    with SimulatedBoard(options) as board:
        for image, written in zip((images[0], images[0], images[1]), (14_000, 0, 8192), strict=True):
            done = flash(image, PortOptions(board.port, baudrate=baud))
            assert (done.plan.writes, done.rewritten, done.resent) == (written, 0, 0)
            assert held(board).startswith(image.read_bytes())
            assert done.mounted
        assert board.relay.up.dropped == 0
        assert board.violations == ()


def positions(total, count):
    """Return byte numbers spread over the whole transfer, the first and the last included."""
    return sorted({total * number // (count - 1) for number in range(count)} - {total})


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """Return how many bytes a first deploy sends and receives."""
    image = put(tmp_path_factory.mktemp("count") / "image", IMAGE)
    with SimulatedBoard(SimOptions(size=SIZE, baud=921_600, ring=512)) as board:
        done = flash(image, PortOptions(board.port, baudrate=921_600))
    return done.sent, done.received


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("fault", ["lose_at", "flip_at"])
def test_a_byte_that_is_lost_or_damaged_on_the_way_up(fault, part, sent, images, tmp_path):
    assert_recovers(fault, positions(sent[0], 100)[part::4], images[0], tmp_path)


@pytest.mark.parametrize("fault", ["lose_down_at", "flip_down_at"])
def test_a_byte_that_is_lost_or_damaged_on_the_way_down(fault, sent, images, tmp_path):
    assert_recovers(fault, positions(sent[1], 25), images[0], tmp_path)


def assert_recovers(fault, places, image, folder):
    """Assert that a damaged byte anywhere costs a frame, or ends in an error after which a second run completes."""
    failed = 0
    for at in places:
        file = put(folder / "rom.bin", EDITED.ljust(SIZE, b"\xff"))
        options = SimOptions(file=file, size=SIZE, baud=921_600, ring=512)
        with FaultyBoard(options, Faults(**{fault: at})) as board:
            port = PortOptions(board.port, baudrate=921_600)
            try:
                flash(image, port)
            except RomfsError as error:
                assert error.status in (4, 5, 6)  # noqa: PT017 - most are repaired
                failed += 1
                assert held(board).startswith((IMAGE, EDITED)) or not held(board).startswith(MAGIC)
                flash(image, port)
            assert held(board).startswith(IMAGE)
            assert board.violations == ()
    assert failed <= len(places) // 4, f"{failed} of {len(places)}"


def test_frames_that_are_lost_again_and_again_become_statements(images, monkeypatch):
    """A line that no frame passes still takes statements, which have flow control."""
    monkeypatch.setattr("hatch_romfs.board.channel.Channel._expect", lose_everything)
    with FaultyBoard(SimOptions(size=SIZE)) as board:
        done = flash(images[0], board.port)
        assert done.resent > 3
        assert done.mounted
        assert held(board).startswith(IMAGE)


def lose_everything(*_):
    from hatch_romfs.board.channel import _DamagedError

    raise _DamagedError


@pytest.mark.parametrize("seconds", [0.6, 0.8, 1.0, 1.3, 1.6])
def test_a_host_that_is_killed_leaves_a_board_that_the_next_run_recovers(seconds, images):
    with FaultyBoard(SimOptions(size=SIZE, baud=115_200, ring=256, gc=20)) as board:
        code = "import sys; from hatch_romfs import flash; flash(sys.argv[1], sys.argv[2])"
        environment = {**os.environ, "PYTHONPATH": str(judges.REPO)}
        command = [sys.executable, "-c", code, str(images[0]), board.port]
        with subprocess.Popen(command, env=environment) as host:
            before = board.sent
            while board.sent == before and host.poll() is None:
                time.sleep(0.01)
            time.sleep(seconds)
            host.send_signal(signal.SIGKILL)
        assert not held(board).startswith(IMAGE)
        assert flash(images[0], board.port).mounted
        assert held(board).startswith(IMAGE)


def test_reading_is_verified_over_a_paced_line(images):
    with SimulatedBoard(SimOptions(size=SIZE, baud=921_600, ring=256, latency=2)) as board:
        flash(images[0], PortOptions(board.port, baudrate=921_600))
        assert read(PortOptions(board.port, baudrate=921_600)) == IMAGE
