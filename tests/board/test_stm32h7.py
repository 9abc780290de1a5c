"""STM32H7's internal flash states units of 16 bytes, takes only multiples of 32, and has blocks of 128 KiB."""

import pytest

from hatch_romfs import flash, verify
from hatch_romfs.errors import LinkError
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import declared, held, image_bytes, mpremote, put, signed_again
from tests.board.faulty import Faults, FaultyBoard, Kill

SIZE = 256 << 10
FIRST = image_bytes(140_000, 1)
EDITED = signed_again(FIRST, 135_000, b"changed")


def h7(file=None, **more):
    given = {"port": "stm32", "unit": 16, "real_unit": 32, "block": 128 << 10, "size": SIZE, "file": file} | more
    return SimOptions(**given)


@pytest.mark.parametrize("op6", [True, False])
def test_an_image_is_written_edited_and_verified(op6, tmp_path):
    with FaultyBoard(h7(), Faults(op6=op6)) as board:
        for image in (FIRST, EDITED, image_bytes(30_000, 3)):
            path = put(tmp_path / "image", image)
            done = flash(path, board.port)
            assert done.mounted
            assert done.partition.access == ("ranged" if op6 else "whole")
            assert done.partition.geometry.unit == 32
            assert held(board).startswith(image)
            verify(path, board.port)
            assert flash(path, board.port).plan.writes == 0
        assert board.violations == ()


@pytest.mark.parametrize("op6", [True, False])
@pytest.mark.parametrize("real", [64, 512])
def test_a_unit_that_is_larger_still_is_found(real, op6, tmp_path):
    with FaultyBoard(h7(real_unit=real), Faults(op6=op6)) as board:
        for image in (FIRST, EDITED):
            done = flash(put(tmp_path / "image", image), board.port)
            assert done.mounted
            assert held(board).startswith(image)
        assert board.violations == ()


@pytest.mark.parametrize("op6", [True, False])
def test_a_cut_after_each_step_is_repaired_by_the_next_run(op6, tmp_path):
    new = put(tmp_path / "new", image_bytes(9000, 2))
    for step in range(1, 60):
        file = put(tmp_path / "rom.bin", FIRST.ljust(SIZE, b"\xff"))
        with FaultyBoard(h7(file), Faults(op6=op6, kill=Kill(step))) as board:
            try:
                flash(new, board.port, reset=False)
            except LinkError:
                found = held(board)
            else:
                break
        assert declared(found) is None or found.startswith((FIRST, new.read_bytes()))
        with FaultyBoard(h7(file), Faults(op6=op6)) as board:
            assert flash(new, board.port).mounted
            assert held(board).startswith(new.read_bytes())
            assert board.violations == ()
    assert 3 < step < 59


def test_an_image_that_mpremote_deployed_verifies(tmp_path):
    """It pads the last piece with zeros."""
    path = put(tmp_path / "theirs.romfs", FIRST)
    with SimulatedBoard(h7()) as board:
        mpremote(board.port, "romfs", "deploy", path)
        verify(path, board.port)
        assert flash(path, board.port).plan.writes == 0
