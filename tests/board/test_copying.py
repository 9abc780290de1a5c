"""What a board has already is copied there, through power cuts, lost bytes, and doubts of every kind."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from hatch_romfs import LinkError, flash
from hatch_romfs.board import flash as flashing
from hatch_romfs.board import flashed
from hatch_romfs.board.agent import attach
from hatch_romfs.board.answers import RefusedError
from hatch_romfs.board.channel import open_channel
from hatch_romfs.board.copies import Copy, recipe
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.cache import Cache
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import SIZE, assert_never_broken, coded, held, is_broken, options, put
from tests.board.faulty import Faults, FaultyBoard, Kill, When

luck = random.Random(3)
DATA = luck.randbytes(18_000)
MORE = luck.randbytes(900)
OLD = coded({"a.py": b"a = 1\n", "data.bin": DATA, "z.py": b"z = 1\n"})
NEW = coded({"a.py": b"a = 1\n", "added.bin": MORE, "data.bin": DATA, "z.py": b"z = 1\n"})
GEOMETRIES: dict[str, dict[str, Any]] = {
    "rp2": {},
    "nrf": {},
    "samd": {},
    "stm32": {"block": 16 << 10},
    "alif": {},
}
"""One port of each kind of flash that can be erased in parts, or overwritten."""
SHORT = 64 << 10
"""Bytes of memory with which every block is written by itself."""
TOTAL = 9000
"""Bytes up the line that are more than all but the content takes, and less than the content."""


@pytest.fixture
def new(tmp_path):
    return put(tmp_path / "new", NEW)


def file_with_old(folder: Path) -> Path:
    """Return the flash of a board that has the old image, which is known here."""
    flashed.remember(OLD)
    return put(folder / "rom.bin", OLD.ljust(SIZE, b"\xff"))


def copied(board: SimulatedBoard, image: Path) -> int:
    """Flash an image; return how many bytes the board had already."""
    done = flash(image, board.port)
    assert done.mounted
    assert held(board).startswith(image.read_bytes())
    assert board.violations == ()
    return done.copied


@pytest.mark.parametrize("port", GEOMETRIES)
def test_what_moves_is_copied_and_not_sent(port, new, tmp_path):
    old = put(tmp_path / "old", OLD)
    with SimulatedBoard(options(port, **GEOMETRIES[port])) as board:
        assert copied(board, old) == 0
        for image in (new, old, new):
            done = flash(image, board.port)
            assert done.copied > len(DATA) - 1000
            assert done.sent < TOTAL
            assert done.rewritten == done.resent == 0
            assert held(board).startswith(image.read_bytes())
        assert board.violations == ()


@pytest.mark.parametrize(("port", "torn"), [("rp2", False), ("rp2", True), ("stm32", True), ("alif", False)])
def test_power_that_fails_in_each_step_or_after_it(port, torn, new, tmp_path):
    states = []
    for step in range(1, 100):
        file = file_with_old(tmp_path)
        faults = Faults(kill=Kill(step, torn=torn))
        with FaultyBoard(options(port, file, ram=SHORT, **GEOMETRIES[port]), faults) as board:
            try:
                done = flash(new, board.port, reset=False)
            except LinkError:
                done = None
        if done:
            assert done.copied
            break
        states.append(file.read_bytes())
        assert not is_broken(states[-1], OLD, NEW), f"step {step}"
        with SimulatedBoard(options(port, file, **GEOMETRIES[port])) as mended:
            copied(mended, new)
    assert step > 5
    assert_never_broken(states, (OLD, NEW), tmp_path)


def test_a_link_that_is_cut_anywhere(new, tmp_path):
    with SimulatedBoard(options("rp2", file_with_old(tmp_path), ram=SHORT)) as board:
        sent = flash(new, board.port).sent
    for number in range(45, 100, 9):
        file = file_with_old(tmp_path)
        faults = Faults(cut_after=sent * number // 100)
        with FaultyBoard(options("rp2", file, ram=SHORT), faults) as board, pytest.raises(LinkError):
            flash(new, board.port)
        assert not is_broken(file.read_bytes(), OLD, NEW), number
        with SimulatedBoard(options("rp2", file)) as mended:
            copied(mended, new)


@pytest.mark.parametrize("fault", ["lose_at", "flip_at"])
def test_a_byte_that_is_lost_or_damaged_costs_a_frame(fault, new, tmp_path):
    with SimulatedBoard(options("rp2", file_with_old(tmp_path), ram=SHORT)) as board:
        sent = flash(new, board.port).sent
    file = file_with_old(tmp_path)
    faults = Faults(**{fault: sent - 1200})  # among what saves, erases and copies
    with FaultyBoard(options("rp2", file, ram=SHORT, baud=921_600, ring=512), faults) as board:
        assert copied(board, new) > len(DATA) - 2 * 4096


MISSING = {
    "no CRC-32": ("binascii.crc32",),
    "no deflate": ("deflate",),
    "no binary input": ("sys.stdin.buffer",),
}


@pytest.mark.parametrize("missing", MISSING)
def test_firmware_without_some_modules_copies_too(missing, new, tmp_path):
    with FaultyBoard(options("rp2", file_with_old(tmp_path)), Faults(hide=MISSING[missing])) as board:
        assert copied(board, new) > len(DATA) - 1000


def test_without_hashes_nobody_knows_what_a_board_has(new, tmp_path):
    hidden = ("hashlib.sha256", "binascii.crc32")
    with FaultyBoard(options("rp2", file_with_old(tmp_path)), Faults(hide=hidden)) as board:
        assert copied(board, new) == 0


WRONG = {
    "an erase that fails": Faults(erase_error=When(after=2)),
    "a write that fails": Faults(write_error=When(after=3)),
    "a write that raises": Faults(write_error=When(after=3, raises=True)),
    "a write that is dropped": Faults(drop=When(after=3)),
    "a bit that flips": Faults(flip=When(after=2)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_block_that_goes_wrong_is_sent_and_the_others_are_copied(wrong, new, tmp_path):
    with FaultyBoard(options("rp2", file_with_old(tmp_path), ram=SHORT), WRONG[wrong]) as board:
        assert copied(board, new) > (4096 if "raises" in wrong else len(DATA) - 2 * 4096)


def test_an_erase_that_takes_more_than_the_firmware_states(new, tmp_path):
    """Old content that was not saved is gone then, which the board notices before anything is written."""
    with SimulatedBoard(options("rp2", file_with_old(tmp_path), real_block=8192)) as board:
        done = flash(new, board.port)
        assert done.mounted
        assert held(board).startswith(NEW)


def test_a_board_with_less_memory_than_it_seemed_to_have(tmp_path, monkeypatch):
    monkeypatch.setattr(flashing, "memory_for", lambda _: 1 << 20)
    data = luck.randbytes(120_000)
    old, new = (put(tmp_path / name, coded({f"{name}.bin": b"name", "x.bin": data})) for name in ("old", "newer"))
    with SimulatedBoard(options("stm32", size=256 << 10, block=64 << 10, ram=80 << 10)) as board:
        assert copied(board, old) == 0
        assert copied(board, new) < 70_000


@pytest.mark.parametrize("at", [len(OLD) // 2, len(OLD) - 1])
def test_an_image_that_only_begins_like_a_known_one_is_not_copied_from(at, new, tmp_path):
    file = file_with_old(tmp_path)
    file.write_bytes(file.read_bytes()[:at] + bytes([OLD[at] ^ 1]) + file.read_bytes()[at + 1 :])
    with SimulatedBoard(options("rp2", file)) as board:
        assert copied(board, new) == 0


def test_an_unknown_image_is_known_after_it_was_compared(new, tmp_path):
    old = put(tmp_path / "old", OLD)
    file = put(tmp_path / "rom.bin", OLD.ljust(SIZE, b"\xff"))
    with SimulatedBoard(options("rp2", file)) as board:
        assert flash(old, board.port).plan.writes == 0
        assert copied(board, new) > 0


def test_a_larger_image_and_one_that_ends_in_another_block(tmp_path):
    """What is behind the end of the new image is still there while that is written."""
    small, large = coded({"z.bin": DATA[10_000:]}), coded({"y.bin": luck.randbytes(30_000), "z.bin": DATA[10_000:]})
    images = [put(tmp_path / f"{number}", image) for number, image in enumerate((OLD, small, large))]
    with SimulatedBoard(options("rp2")) as board:
        assert copied(board, images[0]) == 0
        assert copied(board, images[1]) > 7000
        assert copied(board, images[2]) > 7000


def test_full_sends_everything_and_a_dry_run_shows_the_steps(new, tmp_path, romfs_flash):
    file = file_with_old(tmp_path)
    with SimulatedBoard(options("rp2", file)) as board:
        shown = romfs_flash(new, "--port", board.port, "--dry-run").out
        assert "save       0x00000000     4,096 bytes" in shown
        assert file.read_bytes().startswith(OLD)
        assert romfs_flash(new, "--port", board.port, "--full", "--json").document["copied"] == 0
        done = romfs_flash(put(tmp_path / "old", OLD), "--port", board.port)
        assert "of them written (" in done.out
        assert " copied on the board), mounted" in done.out


def test_a_dry_run_remembers_nothing(new, tmp_path, romfs_flash):
    with SimulatedBoard(options("rp2", put(tmp_path / "rom.bin", OLD.ljust(SIZE, b"\xff")))) as board:
        assert json.loads(romfs_flash(new, "--port", board.port, "--dry-run", "--json").out)["written"] == 0
    assert list(Cache.of_user(flashed.FOLDER).folder.iterdir()) == []


def test_a_damaged_image_in_the_cache_is_not_used(new, tmp_path):
    file = file_with_old(tmp_path)
    (entry,) = Cache.of_user(flashed.FOLDER).folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    with SimulatedBoard(options("rp2", file)) as board:
        assert copied(board, new) == 0


def test_the_cache_is_private_and_keeps_the_latest_images_only(monkeypatch):
    monkeypatch.setattr(flashed, "MOST_IMAGES", 3)
    for number in range(5):
        flashed.remember(bytes([number]) * 600)
    folder = Cache.of_user(flashed.FOLDER).folder
    assert folder.stat().st_mode & 0o077 == 0
    assert {entry.read_bytes()[-1] for entry in folder.iterdir()} == {2, 3, 4}
    monkeypatch.setattr(flashed, "MOST_BYTES", 1300)
    flashed.remember(b"x" * 600)
    assert {entry.read_bytes()[-1] for entry in folder.iterdir()} == {4, ord("x")}


def test_a_board_writes_nothing_that_is_not_what_it_should_be(tmp_path):
    """And says so, with the flash unchanged."""
    with SimulatedBoard(options("rp2", put(tmp_path / "rom.bin", OLD.ljust(SIZE, b"\xff")))) as board:
        with session(PortOptions(board.port)) as found:
            attach(found.repl, found.board, found.board.partitions[0])
            channel = open_channel(found.repl, found.board, "agent_write", "agent_copy")
            right = recipe([Copy(32_768, 4096, 512)], 32_768, OLD[4096:4608])
            wrong = recipe([Copy(32_768, 4097, 512)], 32_768, OLD[4096:4608])
            for bad in (wrong.data, wrong.data[:4]):
                with pytest.raises(RefusedError, match="ValueError"):
                    channel.assemble(32_768, 512, bad)
            assert held(board)[32_768:33_280] == b"\xff" * 512
            channel.assemble(32_768, 512, right.data)
            channel.close()
        assert held(board)[32_768:33_280] == OLD[4096:4608]
