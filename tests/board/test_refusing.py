"""What is refused before anything is erased."""

import re

import pytest

from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import (
    ARMV7EMSP,
    ERASED,
    SIZE,
    coded,
    firmware,
    held,
    image_bytes,
    mpy,
    options,
    put,
    touched,
)
from tests.board.faulty import FaultyBoard


def test_code_that_the_firmware_refuses(tmp_path, romfs_flash):
    wrong = put(
        tmp_path / "wrong",
        coded(
            {
                "a/old.mpy": mpy(version=5),
                "dp.mpy": mpy(arch=ARMV7EMSP + 1),
                "older.mpy": mpy(sub_version=2, arch=ARMV7EMSP),
                "plain.mpy": mpy(sub_version=1),
                "same.mpy": mpy(arch=ARMV7EMSP),
                "text.mpy": b"no code",
                "less.mpy": mpy(arch=ARMV7EMSP - 3),
            }
        ),
    )
    with FaultyBoard(options("rp2"), firmware(ARMV7EMSP)) as board:
        ran = romfs_flash(wrong, "--port", board.port)
        assert (ran.status, ran.out) == (5, "")
        assert ran.err == (
            "error: a/old.mpy is .mpy version 5, the board loads 6\n"
            "dp.mpy is armv7emdp code of version 6.3, the board runs armv7emsp of 6.3\n"
            "older.mpy is armv7emsp code of version 6.2, the board runs armv7emsp of 6.3\n"
            "text.mpy is not a .mpy file\n"
            "Set tool.romfs.mpy.micropython and .arch for this board, or write it all the same with --force.\n"
        )
        assert touched(board) == set()
        assert romfs_flash(wrong, "--force", "--port", board.port).status == 0
        assert held(board).startswith(wrong.read_bytes())


def test_many_wrong_files_are_not_all_named(tmp_path, romfs_flash):
    wrong = put(tmp_path / "wrong", coded({f"{n}.mpy": mpy(version=7) for n in range(7)}))
    with FaultyBoard(options("rp2")) as board:
        lines = romfs_flash(wrong, "--port", board.port).err.splitlines()
        assert lines[4:6] == ["4.mpy is .mpy version 7, the board loads 6", "(and 2 more)"]
    with FaultyBoard(options("rp2"), firmware(0)) as board:
        native = put(tmp_path / "native", coded({"n.mpy": mpy(arch=ARMV7EMSP)}))
        ran = romfs_flash(native, "--port", board.port)
        assert ran.status == 5
        assert ran.err.startswith("error: n.mpy is armv7emsp code of version 6.3, the board runs none of 6.3\n")


def test_force_is_for_code_only(tmp_path, romfs_flash):
    large = put(tmp_path / "large", image_bytes(SIZE + 2))
    with FaultyBoard(options("rp2")) as board:
        assert romfs_flash(large, "--force", "--port", board.port).status == 5
        broken = put(tmp_path / "broken", image_bytes(4000)[:-2])
        assert romfs_flash(broken, "--force", "--port", board.port).status == 3
        assert touched(board) == set()


@pytest.mark.parametrize("what", ["cut", "changed", "none", "empty", "followed"])
def test_what_is_no_sound_image_never_meets_a_board(what, tmp_path, romfs_flash):
    sound = image_bytes(4000)
    data = {
        "cut": sound[:3000],
        "changed": sound[:3000] + bytes([sound[3000] ^ 1]) + sound[3001:],
        "none": b"MZ" + bytes(100),
        "empty": b"",
        "followed": sound + b"x",
    }[what]
    path = put(tmp_path / "image", data)
    said = {
        "cut": "the image is cut short: it should be 4000 bytes, but only 3000 are there (at offset 3000)",
        "changed": "the content does not match the SHA-256 in the image (at offset 129)",
        "none": "not a MicroPython ROMFS image: it begins with 4d5a00 (at offset 0)",
        "empty": "the file is empty (at offset 0)",
        "followed": "the image ends at 4000, but other data follows it (at offset 4000)",
    }[what]
    for arguments in ([path], ["--verify", path]):
        ran = romfs_flash(*arguments, "--port", "/dev/no-such-port")
        assert (ran.status, ran.out) == (3, "")
        assert re.sub(r"offset 1\d\d", "offset 129", ran.err) == f"error: {path}: {said}\n"


REFUSED = {
    "no-romfs": (
        "the firmware of Simulated board with no-romfs (MicroPython 1.29.0) has no ROMFS\n"
        "ROMFS needs MicroPython 1.25 or newer, built with it: for rp2, build it with"
        " -DMICROPY_HW_ROMFS_BYTES=524288, or another multiple of 4096.\n"
        "romfs-flash PROJECT --to-filesystem needs no ROMFS."
    ),
    "none": (
        "Simulated board with none has ROMFS, but no partition for it\n"
        "A partition is reserved when the firmware is built: for rp2, build it with"
        " -DMICROPY_HW_ROMFS_BYTES=524288, or another multiple of 4096.\n"
        "romfs-flash PROJECT --to-filesystem needs no ROMFS."
    ),
    "qemu": (
        "partition 0 of Simulated board with qemu is read-only\n"
        "This port cannot write its ROMFS from within; the image goes in with the firmware."
    ),
}


@pytest.mark.parametrize("family", REFUSED)
def test_boards_that_take_no_image(family, image, tmp_path, romfs_flash):
    with SimulatedBoard(options(family)) as board:
        for arguments in ([image], [image, "--force"], ["--erase"]):
            ran = romfs_flash(*arguments, "--port", board.port)
            assert ran == (5, "", f"error: {REFUSED[family]}\n")
        assert romfs_flash("--query", "--port", board.port).status == 0
        ran = romfs_flash("--verify", image, "--port", board.port)
        assert ran.status == (6 if family == "qemu" else 5)
        ran = romfs_flash("--read", tmp_path / "out", "--port", board.port)
        assert ran.status == 5
        if family == "qemu":
            assert ran.err == "error: partition 0 holds no image\n--whole reads it all the same.\n"
            assert romfs_flash("--read", tmp_path / "out", "--whole", "--port", board.port).status == 0
            assert (tmp_path / "out").read_bytes() == ERASED * SIZE
        if family != "none":
            assert not board.file.exists() or set(held(board)) == {0xFF}


def test_a_read_only_partition_can_be_verified_and_read(image, tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image.read_bytes() + ERASED * (SIZE - 14_000))
    with SimulatedBoard(options("qemu", file)) as board:
        assert romfs_flash("--verify", image, "--port", board.port).status == 0
        assert romfs_flash("--read", tmp_path / "out", "--port", board.port).status == 0
    assert (tmp_path / "out").read_bytes() == image.read_bytes()
