"""What added, deleted and edited files cost beside mpremote's deploy: bytes up the wire, and erased blocks."""

from pathlib import Path

import pytest

from benchmarks.changes import PART, make_images
from benchmarks.counted import CountingBoard
from benchmarks.flash import deploy
from benchmarks.layout import corpora
from hatch_romfs import flash
from hatch_romfs.sim.board import SimOptions
from tests import judges
from tests.board.boards import held, put

BOARDS = {
    "an RP2040": SimOptions(ram=190 << 10),
    "blocks of 64 KiB": SimOptions(port="stm32", block=64 << 10),
}
CASES = [("compact", "blocks of 64 KiB"), ("stable", "an RP2040")]


@pytest.fixture(scope="module")
def both():
    """Half as much as the benchmark has: what a connection takes weighs twice as much here."""
    return corpora(modules=75, few=12, data=150_000)


@pytest.fixture(scope="module", params=[0, 1], ids=["modules", "modules and data"])
def corpus(both, request):
    return both[request.param]


@pytest.fixture(scope="module")
def peer(corpus, tmp_path_factory):
    """Return the bytes that mpremote sends for the image, whatever the board has."""
    image = put(tmp_path_factory.mktemp("peer") / "image.romfs", corpus.image("compact"))
    with CountingBoard() as board:
        return deploy(Path(judges.command("mpremote")).parent, board, image).sent


@pytest.mark.parametrize(("layout", "name"), CASES)
def test_a_change_and_its_opposite_send_a_tenth_of_what_mpremote_sends(corpus, peer, layout, name, tmp_path):
    images = make_images(corpus, layout)
    before = put(tmp_path / "before", images.pop(""))
    with CountingBoard(BOARDS[name]) as board:
        assert flash(before, board.port).copied == 0
        for what, image in images.items():
            for path in (put(tmp_path / "after", image), before):
                done = flash(path, board.port)
                assert held(board).startswith(path.read_bytes())
                assert done.sent <= PART * peer + (10_000 if "10 KB" in what else 0), what
                assert done.copied >= 0.95 * done.plan.writes - 11_000, what
        assert board.violations == ()
