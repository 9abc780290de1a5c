"""What a deploy costs beside mpremote's: bytes up the wire, erased blocks, and hashed bytes, but no seconds."""

from pathlib import Path

import pytest

from benchmarks.counted import CountingBoard
from benchmarks.flash import deploy, flash, make_images
from hatch_romfs.board.link import Link
from hatch_romfs.board.repl import BANNER, PROMPT, RawRepl
from tests import judges


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Deploy with mpremote, then with romfs-flash to a blank board: first, again, and with one block edited."""
    scripts = Path(judges.command("mpremote")).parent
    costs = {}
    for images in make_images(tmp_path_factory.mktemp("images")):
        size = images.image.stat().st_size
        with CountingBoard() as board:
            peer = deploy(scripts, board, images.image)
        with CountingBoard() as board:
            named = (("first", images.image), ("again", images.image), ("edit", images.edited))
            costs[images.name] = size, peer, {name: flash(scripts, board, image) for name, image in named}
    return costs


PARTS = {"150 modules": 0.7, "20 modules and 200 KB of data": 0.76}
"""Part of mpremote's bytes for a first deploy: random data does not deflate, and mpremote sends it as base64."""
by_name = pytest.mark.parametrize("name", PARTS)


@by_name
def test_bytes_up_the_wire_beside_mpremote(name, costs):
    _, peer, ours = costs[name]
    assert ours["first"].sent <= PARTS[name] * peer.sent
    assert ours["again"].sent < 4000
    assert ours["edit"].sent <= 0.04 * peer.sent


@by_name
def test_only_blocks_that_differ_and_the_headers_are_erased(name, costs):
    size, peer, ours = costs[name]
    assert ours["first"].erased == peer.erased == -(-size // 4096)
    assert ours["again"].erased == 0
    assert ours["edit"].erased == 2


@by_name
def test_the_whole_image_is_hashed_once_and_the_headers_block_again(name, costs):
    size, _, ours = costs[name]
    assert ours["again"].hashed == size
    for what in ("first", "edit"):
        assert size < ours[what].hashed <= size + 4096 + 256


class PromptPort:
    """A board at its prompt, which answers at once; ``waits`` counts the reads that waited for nothing."""

    def __init__(self):
        self.answer = b""
        self.waits = 0

    @property
    def in_waiting(self):
        return len(self.answer)

    def read(self, size):
        self.waits += not self.answer
        data, self.answer = self.answer[:size], self.answer[size:]
        return data

    def write(self, data):
        self.answer += BANNER if b"\x01" in data else PROMPT
        return len(data)

    def close(self):
        pass


def test_a_board_at_its_prompt_is_not_waited_for():
    port = PromptPort()
    RawRepl(Link(port, "fake")).enter()
    assert not port.waits
