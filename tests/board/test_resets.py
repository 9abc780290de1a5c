"""Boards that take their time to start, that reset by themselves, and ports that go away meanwhile."""

import time

import pytest

from hatch_romfs import flash
from hatch_romfs.errors import RomfsError
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import SIZE, held, image_bytes, is_broken, options, put
from tests.board.faulty import Faults, FaultyBoard

OLD, NEW = image_bytes(9000, 1), image_bytes(14_000, 2)


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "new", NEW)


@pytest.mark.parametrize("seconds", [1, 3])
def test_a_port_that_goes_away_in_a_reset_is_awaited(seconds, image):
    with SimulatedBoard(SimOptions(size=SIZE, vanish=1000 * seconds)) as board:
        done = flash(image, board.port)
        assert done.mounted
        assert held(board).startswith(NEW)


def test_a_boot_py_of_eight_seconds_is_waited_for_once(image):
    """Only here a wait is what is tested: 8 s, and 30 % for everything else."""
    with FaultyBoard(options("rp2"), Faults(boot="import time\ntime.sleep(8)")) as board:
        started = time.monotonic()
        assert flash(image, board.port).mounted
        assert time.monotonic() - started < 1.3 * 8
        assert held(board).startswith(NEW)


WATCHDOG = "import machine\nmachine.WDT(timeout={0})\n"


@pytest.mark.parametrize("port", ["rp2", "stm32", "esp8266"])
@pytest.mark.parametrize("milliseconds", [300, 600, 1200, 5000])
def test_a_watchdog_ends_in_success_or_a_clean_failure(milliseconds, port, image, tmp_path):
    file = put(tmp_path / "rom.bin", OLD.ljust(SIZE, b"\xff"))
    given = SimOptions(port=port, file=file, size=SIZE, erase=20, program=1)
    with FaultyBoard(given, Faults(main=WATCHDOG.format(milliseconds) + "while True: pass")) as board:
        for _ in range(3):
            try:
                flash(image, board.port)
            except RomfsError as error:  # noqa: PERF203 - a retry
                assert error.status in (4, 5, 6)  # noqa: PT017 - both ends are right
                assert not is_broken(held(board), OLD, NEW)
            else:
                break
    with SimulatedBoard(SimOptions(port=port, file=file, size=SIZE)) as board:
        assert flash(image, board.port).mounted
        assert held(board).startswith(NEW)
