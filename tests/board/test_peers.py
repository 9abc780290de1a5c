"""The same board through mpremote's eyes, the cost of the wire beside it, and very many flashes in a row."""

import gc
import os
import random
import threading
from pathlib import Path

import pytest

from hatch_romfs import build, flash, query, verify
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import make_image as make_small
from tests.board.boards import mpremote, options
from tests.projects import make_project


@pytest.mark.parametrize("family", ["rp2", "stm32", "esp8266", "alif"])
def test_mpremote_sees_what_was_written_and_what_it_writes_is_verified(family, tmp_path):
    ours = build(make_project(tmp_path / "ours", {"who.py": b"name = 'ours'\n"})).path
    theirs = build(make_project(tmp_path / "theirs", {"who.py": b"name = 'theirs'\n", "x": b"x" * 5000})).path
    with SimulatedBoard(options(family)) as board:
        flash(ours, board.port)
        said = mpremote(board.port, "romfs", "query")
        (held,) = query(board.port).partitions or ()
        assert f"ROMFS0 partition has size {held.geometry.size} bytes" in said
        assert held.image_size == ours.stat().st_size
        payload = int(said.split("ROMFS image size: ")[1].split()[0])
        assert 0 <= held.image_size - payload < 8
        assert mpremote(board.port, "exec", "import who; print(who.name, who.__file__)").split() == [
            "ours",
            "/rom/who.mpy",
        ]
        mpremote(board.port, "romfs", "deploy", theirs)
        verify(theirs, board.port)
        mpremote(board.port, "soft-reset")
        assert mpremote(board.port, "exec", "import who; print(who.name)").strip() == "theirs"


def test_a_thousand_flashes_in_a_row(tmp_path):
    def state() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    def memory() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    images = [make_small(tmp_path / f"{n}", 1024 + 512 * n, seed=n) for n in range(6)]
    chosen = random.Random(7)
    with SimulatedBoard(options("rp2", size=16 << 10)) as board:
        for number in range(1000):
            if number == 100:  # by then everything that is made once is there
                before, held = state(), memory()
            image = chosen.choice(images)
            done = flash(image, board.port, reset=number % 10 == 0)
            assert board.file.read_bytes().startswith(image.read_bytes())
            assert done.rewritten == 0
        assert state() == before
        assert memory() - held < 8 << 20
        assert not board.violations
