"""Work that is interrupted on this side of the line, and programs that are interrupted on the other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hatch_romfs import flash
from hatch_romfs.board.link import Link
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.board.session import PortOptions
from hatch_romfs.events import Progress
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import ERASED, FAMILIES, SIZE, declared, held, image_bytes, options, put, touched
from tests.board.faulty import Faults, FaultyBoard

OLD = image_bytes(9000, 2)


@pytest.mark.parametrize("at", [1, 6000])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_an_event_raises_leaves_no_header_and_no_deaf_board(error, at, image, tmp_path):
    old = image_bytes(9000, 2)
    file = put(tmp_path / "rom.bin", old + ERASED * (SIZE - 9000))

    def stop(event: Progress) -> None:
        if event.phase == "writing" and event.done >= at:
            raise error

    with SimulatedBoard(options("rp2", file, ram=48 << 10)) as board:
        with pytest.raises(error):
            flash(image, board.port, on_event=stop)
        assert declared(held(board)) is None
        assert flash(image, board.port).mounted
        assert board.violations == ()


@pytest.mark.parametrize(
    ("doing", "at", "state"),
    [
        ("writing", 1, "holds no image now; run the same command again to finish"),
        ("writing", 6000, "holds no image now; run the same command again to finish"),
        ("verifying", 13_997, "holds no image now; run the same command again to finish"),
        ("verifying", 4096, "holds the new image, or none; run the same command again to finish"),
    ],
)
def test_ctrl_c_reports_what_the_partition_holds(doing, at, state, image, tmp_path):
    file = put(tmp_path / "rom.bin", OLD.ljust(SIZE, ERASED))

    def stop(event: Progress) -> None:
        if event.phase == doing and (event.done >= at if doing == "writing" else event.done == at):
            raise KeyboardInterrupt

    with SimulatedBoard(options("rp2", file, ram=48 << 10)) as board:
        with pytest.raises(KeyboardInterrupt) as caught:
            flash(image, board.port, on_event=stop)
        assert str(caught.value) == f"partition 0 {state}"
        if "no image" in state:
            assert declared(held(board)) is None
        assert flash(image, board.port).mounted


# Programs that use the partition

SLOW = "import time\ntime.sleep(0.7)\n"
BOOTED = "\nopen('/booted', 'w').close()"
USES = {
    "a module": "import m",
    "an open file": "f = open('/rom/data.bin', 'rb')",
    "a timer": "import m, machine; timer = machine.Timer(-1, callback=lambda _: m.who)",
}


@pytest.fixture
def booted(tmp_path):
    """Return what starts a board with an old image, and waits until its boot.py is at its end."""

    @contextmanager
    def start(boot: str, family: str = "rp2") -> Iterator[FaultyBoard]:
        file = put(tmp_path / "rom.bin", OLD.ljust(SIZE, ERASED))
        (tmp_path / "root").mkdir()
        with FaultyBoard(options(family, file, root=tmp_path / "root"), Faults(boot=boot + BOOTED)) as board:
            deadline = time.monotonic() + 10
            while not (tmp_path / "root" / "booted").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)
            yield board

    return start


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("use", USES)
def test_a_boot_py_that_uses_the_partition_is_interrupted(use, family, image, booted):
    """Erasing under running code hangs boards, as this one does where a timer runs code of the partition."""
    with booted(SLOW + USES[use], family) as board:
        assert flash(image, board.port).mounted
        assert held(board).startswith(image.read_bytes())
        assert board.violations == ()


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("more", [(), ("--no-boot",)])
def test_what_stays_in_use_is_not_erased(use, more, image, booted, romfs_flash):
    named = "f" if use == "an open file" else "/rom/m.py"
    soft_reset = RawRepl.soft_reset
    with booted(USES[use]) as board, pytest.MonkeyPatch.context() as patch:
        # Each interrupt comes too late.
        patch.setattr(RawRepl, "soft_reset", lambda repl, **_: soft_reset(repl, boot=True))
        ran = romfs_flash(image, *more, "--port", board.port)
        message = (
            "error: Simulated board with rp2 uses files of its ROM filesystem right after a reset: "
            f"{named}\nErasing them could hang the board. Its boot.py imports them before it can be interrupted:"
            " rename it on the board, reset, and run the same command again.\n"
        )
        assert ran == (5, "", message)
        assert touched(board) == set()
        assert held(board).startswith(OLD)


@pytest.mark.parametrize(("boot", "resets"), [(True, 1), (False, 0)])
def test_a_boot_py_is_awaited_once_or_not_at_all(boot, resets, image, booted, monkeypatch):
    """Neither is it in the reset that checks whether the board mounts the image."""
    waits = []
    read_until = Link.read_until

    def noted(self: Link, ending: bytes, timeout: float, **more: Any) -> bytes:
        waits.append(timeout)
        return read_until(self, ending, timeout, **more)

    monkeypatch.setattr("hatch_romfs.board.repl.BOOT_TIMEOUT", 14.5)
    monkeypatch.setattr(Link, "read_until", noted)
    with booted(SLOW) as board:
        assert flash(image, PortOptions(board.port, boot=boot)).mounted
    assert waits.count(14.5) == resets


def test_a_boot_py_that_prints_without_end_is_interrupted(image, monkeypatch):
    monkeypatch.setattr("hatch_romfs.board.repl.BOOT_TIMEOUT", 0.5)
    with FaultyBoard(options("rp2"), Faults(boot="while True: print('x' * 50)")) as board:
        assert flash(image, board.port).mounted
        assert flash(image, PortOptions(board.port, boot=False)).mounted
