"""Images made by other tools on boards: written, mounted, verified and read back, and mpremote's deploys of them."""

import subprocess
import sys

import pytest

from hatch_romfs import open_image
from hatch_romfs.board.flash import flash
from hatch_romfs.board.reading import query, read, verify
from hatch_romfs.formats.micropython.head import ImageHead, mounted_size_matches, read_head
from hatch_romfs.sim.board import SimulatedBoard
from tests import foreign
from tests.board.boards import FAMILIES, SIZE, held, on_board, options, put

BLOCKS = "import os; print(os.statvfs('/rom')[2])"
UNUSUAL = ("padded header, odd", "long header, odd", "odd")


def head_of(board: SimulatedBoard) -> ImageHead:
    """Return what the first bytes of its partition say."""
    head = read_head(held(board)[:512], SIZE)
    assert head is not None
    return head


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_written_and_the_board_mounts_it(family, name, tmp_path):
    data = foreign.IMAGES[name]
    path = put(tmp_path / "image", data + foreign.TAILS["zeros, then erased flash"])
    with SimulatedBoard(options(family)) as board:
        assert flash(path, board.port, reset=False).size == len(data)
        assert held(board).startswith(data)
        assert on_board(board.port, "import main; print(main.said)") == "hello"
        assert head_of(board).size == len(data)
        assert mounted_size_matches(head_of(board), int(on_board(board.port, BLOCKS)))
        assert flash(path, board.port, reset=False).plan.writes == 0
        assert verify(path, board.port).partitions[0].image_size == len(data)
        assert read(board.port) == data


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_mpremote_deploys_is_recognized_and_read_back(family, name, tmp_path):
    data = foreign.IMAGES[name]
    path = put(tmp_path / "app.romfs", data)
    with SimulatedBoard(options(family)) as board:
        command = [sys.executable, "-m", "mpremote", "connect", board.port, "romfs", "deploy", str(path)]
        assert "ROMFS image deployed" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert held(board).startswith(data + b"\0")
        assert query(board.port).partitions[0].image_size == len(data) == head_of(board).size
        assert verify(path, board.port)
        copy = put(tmp_path / "copy", read(board.port, whole=True))
        with open_image(copy) as image:
            assert image.view[: image.size] == data
            assert image.file("main.py").read() == foreign.DATA["main.py"]
