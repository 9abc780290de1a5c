"""Work that is interrupted on this side of the line."""

import pytest

from hatch_romfs import flash
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import (
    ERASED,
    SIZE,
    declared,
    held,
    image_bytes,
    options,
    put,
)


@pytest.mark.parametrize("at", [1, 6000])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_an_event_raises_leaves_no_header_and_no_deaf_board(error, at, image, tmp_path):
    old = image_bytes(9000, 2)
    file = put(tmp_path / "rom.bin", old + ERASED * (SIZE - 9000))

    def stop(doing: str, done: int, _total: int) -> None:
        if doing == "writing" and done >= at:
            raise error

    with SimulatedBoard(options("rp2", file, ram=48 << 10)) as board:
        with pytest.raises(error):
            flash(image, board.port, on_event=stop)
        assert declared(held(board)) is None
        assert flash(image, board.port).mounted
        assert board.violations == ()
