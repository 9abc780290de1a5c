"""Images into boards of every kind of access, by the command and by the Python API."""

import pytest

from hatch_romfs import errors, flash
from hatch_romfs.board.flash import erase
from hatch_romfs.board.reading import query, read, verify
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import (
    BLOCK,
    ERASED,
    FAMILIES,
    SIZE,
    UNITS,
    flashed,
    held,
    image_bytes,
    on_board,
    options,
    padded,
    put,
    runs_within,
    signed_again,
    touched,
)
from tests.board.faulty import Faults, FaultyBoard
from tests.trees import tree


@pytest.mark.parametrize("tail", [0, 2, 14, 254])
@pytest.mark.parametrize("family", FAMILIES)
def test_images_one_after_another(family, tail, tmp_path):
    """Fresh, the same again, a small change, larger, smaller, exact fit, too big; ``tail`` bytes behind whole units."""
    size = 9216 + tail
    first = image_bytes(size, 1)
    with FaultyBoard(options(family)) as board:
        fresh = flashed(board, tmp_path, first)
        assert held(board)[padded(family, size) :] == ERASED * (SIZE - padded(family, size))
        again = flashed(board, tmp_path, first)
        assert again.plan.writes == 0
        assert again.sent < fresh.sent / 3
        assert touched(board) == set()

        changed = flashed(board, tmp_path, signed_again(first, 5000, b"changed"))
        if family != "esp8266":
            assert touched(board) == {0, 1}
            assert changed.plan.kept == 1
            assert changed.sent < fresh.sent
        large = image_bytes(40_960 + tail, 2)
        flashed(board, tmp_path, large)
        flashed(board, tmp_path, image_bytes(size, 3))
        assert touched(board) == {0, 1, 2}
        assert held(board)[3 * BLOCK : len(large)] == large[3 * BLOCK :]

        exact = image_bytes(SIZE, 4)
        flashed(board, tmp_path, exact)
        assert held(board) == exact
        board.prepare()
        with pytest.raises(errors.BoardError) as caught:
            flash(put(tmp_path / "large", image_bytes(SIZE + 2, 5)), board.port)
        assert caught.value.message == "the image is 65,538 bytes, 2 more than partition 0 holds (65,536)"
        assert caught.value.status == 5
        assert touched(board) == set()
        assert held(board) == exact


@pytest.mark.parametrize(
    ("block", "unit", "size"),
    [(512, 256, 16), (4096, 2048, 16), (24 << 10, 32, 4), (128 << 10, 2048, 2)],
)
@pytest.mark.parametrize("family", ["rp2", "stm32"])
def test_other_geometries(family, block, unit, size, tmp_path):
    """Units larger than a frame, blocks larger than what is erased at once."""
    if family == "rp2":
        unit = 256
    image = image_bytes(min(size * block, 40_000) - 6)
    # With 28 KiB a frame carries 1 or 2 KiB.
    with SimulatedBoard(SimOptions(port=family, block=block, unit=unit, size=size * block, ram=28 << 10)) as board:
        for data in (image, signed_again(image, 3000, b"changed")):
            flashed_plain(board, tmp_path, data)
        erase(board.port)
        assert held(board) == ERASED * board.options.size
        assert board.violations == ()


def flashed_plain(board, folder, image):
    done = flash(put(folder / "image", image), board.port)
    assert held(board).startswith(image)
    assert board.violations == ()
    assert done.mounted


def test_a_tiny_image_is_smaller_than_a_unit(tmp_path):
    data = b"".join(image_chunks(lay_out(tree({}))))
    assert len(data) < 16
    for family in FAMILIES:
        with FaultyBoard(options(family)) as board:
            flashed(board, tmp_path, image_bytes(9000))
            flashed(board, tmp_path, data)
            flashed(board, tmp_path, image_bytes(9000))


def test_a_whole_partition_is_not_resumed_over_bytes_behind_the_image(tmp_path):
    """What is missing looks erased as far as the image goes, but its last unit goes on."""
    image = image_bytes(2 * BLOCK + 2)
    found = bytearray(ERASED * SIZE)
    found[BLOCK : 2 * BLOCK] = image[BLOCK : 2 * BLOCK]
    found[2 * BLOCK + 2] = 0
    file = put(tmp_path / "rom.bin", bytes(found))
    with FaultyBoard(options("esp8266", file)) as board:
        flashed(board, tmp_path, image)
        assert touched(board, "erase") == {0, 1, 2}
    found[2 * BLOCK + 2] = 0xFF
    file = put(tmp_path / "rom.bin", bytes(found))
    with FaultyBoard(options("esp8266", file)) as board:
        done = flashed(board, tmp_path, image)
        assert touched(board, "erase") == set()
        assert done.plan.kept == 1


# What else it can be told


@pytest.mark.parametrize("family", FAMILIES)
def test_the_second_of_two_partitions(family, image, tmp_path, romfs_flash):
    first = image_bytes(9000, 7)
    file = put(tmp_path / "rom.bin", first + ERASED * (SIZE - 9000) + ERASED * SIZE)
    board_options = SimOptions(file=file, port=family, size=SIZE, partitions=2)
    with SimulatedBoard(board_options) as board:
        ran = romfs_flash(image, "--partition", 1, "--port", board.port)
        assert ran.status == 0, ran.err
        assert (
            ran.out == f"partition 1 of Simulated board with {family}: 14,000 bytes verified, 14,000 of them written\n"
        )
        assert held(board, 1).startswith(image.read_bytes())
        assert held(board).startswith(first)
        assert [one.image_size for one in query(board.port).partitions] == [9000, 14_000]
        assert romfs_flash("--verify", image, "--partition", 1, "--port", board.port).status == 0
        assert romfs_flash("--verify", image, "--partition", 0, "--port", board.port).status == 6
        ran = romfs_flash(image, "--partition", 2, "--port", board.port)
        assert ran.status == 2
        assert ran.err.startswith(f"error: Simulated board with {family} has partitions 0 to 1, not partition 2\n")
        assert romfs_flash("--query", "--partition", -1, "--port", board.port).status == 0
        assert romfs_flash("--erase", "--partition", -1, "--port", board.port).status == 2
        assert romfs_flash("--erase", "--partition", 1, "--port", board.port).status == 0
        assert held(board, 1) == ERASED * SIZE
        assert held(board).startswith(first)
        assert board.violations == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_full_writes_every_block_again(family, image, romfs_flash):
    with FaultyBoard(options(family)) as board:
        flash(image, board.port)
        board.prepare()
        ran = romfs_flash(image, "--full", "--port", board.port)
        assert ran.status == 0
        assert "14,000 of them written, mounted at /rom" in ran.out
        assert touched(board, "write") == {0, 1, 2, 3}
        assert touched(board, "erase") == (set() if family == "alif" else {0, 1, 2, 3})
        assert held(board).startswith(image.read_bytes())
        assert board.violations == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_dry_run_changes_nothing(family, image, tmp_path, romfs_flash):
    old = image_bytes(9000, 2)
    file = put(tmp_path / "rom.bin", old + ERASED * (SIZE - 9000))
    with FaultyBoard(options(family, file)) as board:
        before = held(board)
        ran = romfs_flash(image, "--dry-run", "--port", board.port)
        assert ran.status == 0
        *steps, last = ran.out.splitlines()
        assert last == (f"partition 0 of Simulated board with {family}: 14,000 of 14,000 bytes would be written")
        assert steps[0].split() == ["clear", "0x00000000", "3", "bytes"]
        assert [line.split()[0] for line in steps] == EXPECTED[family]
        assert steps[-2].split() == ["commit", "0x00000000", str(UNITS[family]), "bytes"]
        assert touched(board) == set()
        assert held(board) == before
        assert on_board(board.port, "import m;print(m.who)") == "2"


WRITE = ["write", "write", "prepare", "verify", "commit", "verify"]
EXPECTED = {
    "rp2": ["clear", "invalidate", "erase", *WRITE],
    "stm32": ["clear", "invalidate", "erase", *WRITE],
    "esp8266": ["clear", "invalidate", *WRITE],
    "alif": ["clear", *WRITE],
}


def test_without_a_reset_the_board_stays_as_it_is(image, romfs_flash):
    with FaultyBoard(options("rp2"), Faults(main="print('main runs')\nwhile True: pass")) as board:
        assert romfs_flash(image, "--no-reset", "--port", board.port).out.endswith("14,000 of them written\n")
        assert held(board).startswith(image.read_bytes())
        assert not runs_within(board, 0.3)
        with session(PortOptions(board.port)) as found:
            assert found.repl.run("import os\ntry:os.statvfs('/rom')\nexcept OSError:print('nothing there')").strip()
        assert romfs_flash(image, "--port", board.port).out.endswith("0 of them written, mounted at /rom\n")
        assert runs_within(board, 5)


@pytest.mark.parametrize("what", ["query", "flash", "too large", "verify", "differs", "read", "erase", "dry run"])
def test_a_board_s_program_runs_again_whatever_was_done(what, image, tmp_path):
    large = put(tmp_path / "large", image_bytes(SIZE + 2))
    with FaultyBoard(options("rp2"), Faults(main="while True: pass")) as board:
        if what in ("verify", "read"):
            flash(image, board.port)
        does = {
            "query": lambda: query(board.port),
            "flash": lambda: flash(image, board.port),
            "too large": lambda: flash(large, board.port),
            "verify": lambda: verify(image, board.port),
            "differs": lambda: verify(image, board.port),
            "read": lambda: read(board.port),
            "erase": lambda: erase(board.port),
            "dry run": lambda: flash(image, board.port, dry_run=True),
        }
        if what in ("too large", "differs"):
            with pytest.raises(errors.RomfsError):
                does[what]()
        else:
            does[what]()
        assert runs_within(board, 5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_app_is_imported_from_rom_after_the_reset(family, image, romfs_flash):
    with SimulatedBoard(options(family)) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert ran.out.endswith("14,000 bytes verified, 14,000 of them written, mounted at /rom\n")
        assert on_board(board.port, "import m;print(m.who, m.__file__)") == "1 /rom/m.py"


def test_a_board_that_does_not_mount_it_is_said(image):
    hides = "import vfs\nvfs.umount('/rom')"
    with FaultyBoard(options("rp2"), Faults(main=hides)) as board:
        assert flash(image, board.port).mounted  # a main.py comes later
    with SimulatedBoard(options("rp2")) as board, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hatch_romfs.board.session.Session.restart", lambda found: None)
        with pytest.raises(errors.VerifyError) as caught:
            flash(image, board.port)
    assert str(caught.value) == (
        "the image is in the partition, whole, but the board does not mount it at /rom\n"
        "Does this firmware mount ROM filesystems at another place, or none at all?"
    )


@pytest.mark.parametrize("ram", [36, 72])
def test_the_agent_fits_into_the_memory_of_a_board(ram, image):
    with SimulatedBoard(options("rp2", ram=ram << 10)) as board:
        assert flash(image, board.port).mounted
