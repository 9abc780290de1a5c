"""Images into every family of board: by the command and by the Python API, with real mpremote beside."""

import re
import subprocess
import sys
import time

import pytest

from hatch_romfs import errors, flash
from hatch_romfs.board.flash import erase, query, read, verify
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.formats import open_image
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.settings.values import ARCHS
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import (
    BLOCK,
    FAMILIES,
    SIZE,
    declared,
    held,
    image_bytes,
    on_board,
    options,
    put,
    signed_again,
)
from tests.board.faulty import Faults, FaultyBoard
from tests.trees import tree

UNITS = {"rp2": 256, "stm32": 4, "esp8266": 4, "alif": 16}
ERASED = b"\xff"


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "app.romfs", image_bytes(14_000))


def mpremote(port: str, *arguments: object) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", port, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The matrix


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


def flashed(board, folder, image):
    """Flash an image, hold that it is there by the rules and mounted, and return what was done."""
    board.prepare()
    done = flash(put(folder / "image", image), board.port)
    assert held(board).startswith(image)
    assert board.violations == ()
    assert done.mounted is True
    assert done.rewritten == 0
    assert done.size == len(image)
    return done


def touched(board, *kinds):
    """Return which blocks were erased or written."""
    return {
        number
        for one in board.operations
        if one.kind in (kinds or ("erase", "write"))
        for number in range(one.offset // BLOCK, -(-(one.offset + one.length) // BLOCK))
    }


def padded(family, size):
    return -(-size // UNITS[family]) * UNITS[family]


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
    with SimulatedBoard(SimOptions(family=family, block=block, unit=unit, size=size * block, ram=28 << 10)) as board:
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
    board_options = SimOptions(file=file, family=family, size=SIZE, partitions=2)
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
        assert ran.err.startswith(f"error: Simulated board with {family} has partitions 0 to 1, not 2\n")
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
        assert steps[0].split() == ["invalidate", "0x00000000", *EXPECTED[family][0], "bytes"]
        assert [line.split()[0] for line in steps] == EXPECTED[family][1]
        assert steps[-2].split() == ["commit", "0x00000000", str(UNITS[family]), "bytes"]
        assert touched(board) == set()
        assert held(board) == before
        assert on_board(board.port, "import m;print(m.who)") == "2"


WRITE = ["write", "write", "verify", "commit", "verify"]
EXPECTED = {
    "rp2": (["4,096"], ["invalidate", "erase", *WRITE]),
    "stm32": (["4,096"], ["invalidate", "erase", *WRITE]),
    "esp8266": (["14,000"], ["invalidate", *WRITE]),
    "alif": (["16"], ["invalidate", *WRITE]),
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


def runs_within(board, seconds):
    """Say whether a program runs on the board before the time is over."""
    deadline = time.monotonic() + seconds
    while not board.relay.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    return board.relay.is_running()


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
        "Does its boot.py unmount it, or mount something else there?"
    )


# What is refused before anything is erased


def mpy(version=6, sub_version=3, arch=0):
    return bytes([ord("M"), version, arch << 2 | sub_version, 31]) + bytes(20)


def coded(files):
    return b"".join(image_chunks(lay_out(tree(files))))


ARMV7EMSP = ARCHS.index("armv7emsp") + 1


def firmware(arch, *, version=6, sub_version=3):
    return Faults(mpy=version | sub_version << 8 | arch << 10)


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
            "text.mpy is no .mpy file\n"
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
        "ROMFS needs MicroPython 1.25 or newer, built with it; install firmware that has it."
    ),
    "none": (
        "Simulated board with none has ROMFS, but no partition for it\n"
        "A partition is reserved when the firmware is built; for rp2 and esp32 a build must set its size."
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


# Looking


def test_query_for_people(tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image_bytes(14_000) + ERASED * (SIZE - 14_000) + ERASED * SIZE)
    with open_image(put(tmp_path / "i", image_bytes(14_000))) as opened:
        content = str(opened.content_sha256)
    with SimulatedBoard(SimOptions(file=file, family="stm32", size=SIZE, partitions=2)) as board:
        ran = romfs_flash("--query", "--port", board.port)
        assert romfs_flash("--query", "--quiet", "--port", board.port) == (0, "", "")
    first, second, *partitions = ran.out.splitlines()
    assert first == "Simulated board with stm32, MicroPython 1.29.0"
    assert re.fullmatch(r"loads \.mpy 6\.3, native code: x64; [\d,]+ bytes of memory free", second)
    shape = "65,536 bytes, blocks of 4,096, written in units of 4, ranged"
    assert partitions == [
        f"partition 0: {shape}; holds an image of 14,000 bytes: app 1.0, content {content[:16]}",
        f"partition 1: {shape}; holds no image",
    ]


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("rp2", "written in units of 256, object; holds no image"),
        ("esp8266", "written in units of 4, whole; holds no image"),
        ("alif", "written in units of 16, mram; holds no image"),
        ("qemu", "read-only; holds no image"),
        ("none", "ROMFS, but no partition reserved for it"),
        ("no-romfs", "no ROMFS in this firmware"),
    ],
)
def test_query_of_each_family(family, said, romfs_flash):
    with SimulatedBoard(options(family)) as board:
        assert romfs_flash("--query", "--port", board.port).out.endswith(f"{said}\n")


def test_query_for_machines(tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image_bytes(14_000) + ERASED * (SIZE - 14_000))
    with SimulatedBoard(options("alif", file)) as board:
        document = romfs_flash("--query", "--json", "--port", board.port).document
    (partition,) = document["partitions"]
    assert partition["geometry"] == {"size": SIZE, "block": 4096, "unit": 16, "erasing": "nothing"}
    assert (partition["number"], partition["family"], partition["image_size"]) == (0, "mram", 14_000)
    assert partition["metadata"]["name"] == "app"
    assert partition["metadata"]["version"] == "1.0"
    assert (document["machine"], document["arch"], document["mpy_version"]) == (
        "Simulated board with alif",
        "x64",
        "6.3",
    )
    assert all(document[name] for name in ("sha256", "crc32", "deflate", "base64", "fromhex", "stream"))


@pytest.mark.parametrize(
    ("data", "size", "named"),
    [
        (coded({"f": b'xx{"hatch-romfs":1,"name":"no","sha256":"00"}'}), True, None),  # a file that looks like it
        (image_bytes(5000), True, "app"),
        (b"\xd2\xcd\x31\xff\xff\x7f" + bytes(100), None, None),  # longer than the partition
        (b"\xd2\xcd\x31" + b"\xff" * 600, None, None),
        (b"\xd2\xcd\x31\x04\x01\x84", True, None),
        (b"\xd2\xcd\x30\x04", None, None),
    ],
)
def test_what_a_partition_seems_to_hold(data, size, named, tmp_path):
    file = put(tmp_path / "rom.bin", data.ljust(SIZE, ERASED))
    with SimulatedBoard(options("rp2", file)) as board:
        (partition,) = query(board.port).partitions
    assert partition.image_size == (declared(data.ljust(SIZE, ERASED)) if size else None)
    assert (partition.metadata and partition.metadata.name) == named


@pytest.mark.parametrize("family", FAMILIES)
def test_verify_names_the_first_block_that_differs(family, image, tmp_path, romfs_flash):
    data = image.read_bytes()
    file = put(tmp_path / "rom.bin", data + bytes(SIZE - 14_000))
    with FaultyBoard(options(family, file)) as board:
        ran = romfs_flash("--verify", image, "--port", board.port)
        assert ran == (0, f"partition 0 of Simulated board with {family} holds {image}, byte for byte\n", "")
        for at in (13_999, 5000):
            other = put(tmp_path / "other", signed_again(data, at, bytes([data[at] ^ 1])))
            assert romfs_flash("--verify", other, "--port", board.port).status == 6
        ran = romfs_flash("--verify", other, "--port", board.port)
        assert ran.err == (
            f"error: 2 of 4 blocks differ from {other}, the first of them block 0 at 0x0\n"
            "'romfs-flash IMAGE' writes what differs.\n"
        )
        board.prepare()
        assert touched(board) == set()
    found = bytearray(file.read_bytes())
    found[9000] ^= 1
    with SimulatedBoard(options(family, put(tmp_path / "rom.bin", bytes(found)))) as board:
        ran = romfs_flash("--verify", image, "--port", board.port)
        assert ran.status == 6
        assert "1 of 4 blocks differ" in ran.err
        assert "the first of them block 2 at 0x2000\n" in ran.err
        large = put(tmp_path / "large", image_bytes(SIZE + 2))
        ran = romfs_flash("--verify", large, "--port", board.port)
        assert ran.status == 5
        assert "2 more than partition 0 holds" in ran.err


@pytest.mark.parametrize("family", FAMILIES)
def test_read_brings_back_the_image_or_everything(family, image, tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image.read_bytes() + bytes(SIZE - 14_000))
    out, whole = tmp_path / "out.romfs", tmp_path / "whole.bin"
    with SimulatedBoard(options(family, file)) as board:
        assert romfs_flash("--read", out, "--port", board.port) == (0, f"{out}: 14,000 bytes\n", "")
        assert out.read_bytes() == image.read_bytes()
        assert romfs_flash("--read", whole, "--whole", "--port", board.port).out == f"{whole}: 65,536 bytes\n"
        assert whole.read_bytes() == file.read_bytes()
        assert read(board.port) == image.read_bytes()


def test_read_overwrites_nothing(tmp_path, romfs_flash):
    out = put(tmp_path / "out", b"precious")
    ran = romfs_flash("--read", out, "--port", "/dev/no-such-port")  # which would be another failure
    assert ran == (2, "", f"error: {out} is there already\nName a new file.\n")
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize("family", FAMILIES)
def test_erase_leaves_nothing(family, image, tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image.read_bytes() + bytes(SIZE - 14_000))
    with SimulatedBoard(options(family, file)) as board:
        ran = romfs_flash("--erase", "--port", board.port)
        assert ran == (0, f"partition 0 of Simulated board with {family} is erased\n", "")
        assert held(board) == ERASED * SIZE
        assert board.violations == ()
        assert romfs_flash("--read", tmp_path / "out", "--port", board.port).status == 5


# What an image may be


def test_a_folder_and_a_project_are_built_first(tmp_path, romfs_flash):
    folder = tmp_path / "plain"
    folder.mkdir()
    put(folder / "hello.py", b"said = 'hello'\n")
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash(folder, "--port", board.port).status == 0
        assert on_board(board.port, "import hello;print(hello.said)") == "hello"
        assert romfs_flash("--verify", folder, "--port", board.port).status == 0
        put(
            folder / "pyproject.toml",
            b"[project]\nname = 'app'\nversion = '2.0'\n[tool.romfs]\nsources = ['src']\nmpy = true\n",
        )
        (folder / "src").mkdir()
        put(folder / "src" / "hello.py", b"said = 'compiled'\n")
        assert romfs_flash(folder, "--port", board.port).status == 0
        assert on_board(board.port, "import hello;print(hello.said, hello.__file__)") == "compiled /rom/hello.mpy"
        (partition,) = query(board.port).partitions
        assert (partition.metadata.name, partition.metadata.version) == ("app", "2.0")
    assert sorted(path.name for path in folder.iterdir()) == ["hello.py", "pyproject.toml", "src"]


def test_erased_flash_behind_an_image_is_no_part_of_it(tmp_path, romfs_flash):
    path = put(tmp_path / "image", image_bytes(9000) + ERASED * 2000)
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash(path, "--json", "--port", board.port).document["size"] == 9000
        assert "9,000 bytes verified, 0 of them written" in romfs_flash(path, "--port", board.port).out


def test_no_such_file_and_no_such_combination(tmp_path, romfs_flash):
    assert romfs_flash(tmp_path / "none", "--port", "sim:") == (
        2,
        "",
        f"error: cannot read {tmp_path / 'none'}: No such file or directory\n",
    )
    usage = "error: name an IMAGE to write, or one of --installed, --query, --verify, --read, --erase, --list-ports\n"
    ran = romfs_flash()
    assert (ran.status, ran.err.startswith(usage)) == (2, True)
    assert romfs_flash("--query", "--erase").status == 2
    assert romfs_flash("--query", "--port", "sim:?famly=rp2").status == 2


def test_the_simulated_board_by_its_url(image, tmp_path, romfs_flash):
    url = f"sim:{tmp_path / 'rom.bin'}?family=stm32&size=64K"
    assert romfs_flash(image, "--port", url).status == 0
    assert (tmp_path / "rom.bin").read_bytes() == image.read_bytes() + ERASED * (SIZE - 14_000)
    assert romfs_flash("--verify", image, "--port", url).status == 0


# Machines


def test_json_of_everything_is_one_document(image, tmp_path, romfs_flash):
    with SimulatedBoard(options("stm32")) as board:

        def document(*arguments):
            ran = romfs_flash(*arguments, "--json", "--port", board.port)
            assert (ran.status, ran.err) == (0, "")
            return ran.document

        dry = document(image, "--dry-run")
        done = document(image)
        machine = "Simulated board with stm32"
        assert done["steps"] == dry["steps"]
        assert done["steps"][0] == {"action": "invalidate", "offset": 0, "length": 4096}
        kept = {name: done[name] for name in ("board", "partition", "size", "written", "blocks_kept", "rewritten")}
        assert kept == {
            "board": machine,
            "partition": 0,
            "size": 14_000,
            "written": 14_000,
            "blocks_kept": 0,
            "rewritten": 0,
        }
        assert (done["dry_run"], done["verified"], done["mounted"]) == (False, True, True)
        assert (dry["dry_run"], dry["verified"], dry["mounted"], dry["written"]) == (True, False, None, 0)
        assert 10_000 < done["sent"] < 25_000
        assert 0 < done["received"] < 5000
        assert document("--verify", image) == {"board": machine, "partition": 0, "verified": True, "warnings": []}
        out = tmp_path / "out"
        assert document("--read", out) == {"path": str(out), "size": 14_000, "partition": 0}
        assert document("--erase") == {"board": machine, "partition": 0, "erased": True}
        ran = romfs_flash("--verify", image, "--json", "--port", board.port)
        assert ran.status == 6
        assert ran.document == {
            "error": {
                "message": f"4 of 4 blocks differ from {image}, the first of them block 0 at 0x0",
                "hint": "'romfs-flash IMAGE' writes what differs.",
                "status": 6,
            }
        }


def test_quiet_and_verbose(image, romfs_flash):
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash(image, "--quiet", "--port", board.port) == (0, "", "")
        ran = romfs_flash(image, "--full", "--verbose", "--port", board.port)
        assert ran.out.startswith("invalidate 0x00000000     4,096 bytes\n")
        ran = romfs_flash("--query", "-vv", "--port", board.port)
        assert ran.status == 0
        assert "> b'\\r\\x03\\x03'\n" in ran.err
        assert "raw REPL; CTRL-B to exit" in ran.err


def test_the_command_itself(image, tmp_path):
    """In a process of its own, as it is installed."""
    port = f"sim:{tmp_path / 'rom.bin'}?size=64K"
    command = [str(path) for path in (sys.executable, "-c", "from hatch_romfs.cli.flash import main; main()")]
    done = subprocess.run([*command, str(image), "--port", port], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("14,000 bytes verified, 14,000 of them written, mounted at /rom\n")
    done = subprocess.run([*command, "--query", "--port", "/dev/nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: cannot open /dev/nothing: ")


# Scripts


@pytest.mark.parametrize("family", FAMILIES)
def test_events_tell_what_is_done_and_how_much(family, image):
    seen = []
    with SimulatedBoard(options(family, ram=48 << 10)) as board:
        done = flash(image, board.port, on_event=lambda *event: seen.append(event))
        assert (done.board.machine, done.partition.number, done.size) == (board.options.machine, 0, 14_000)
        assert done.received > 0
        assert 0 <= board.relay.sent - done.sent < 10  # what lets its programs run comes after
    kinds = [kind for kind, _, _ in seen]
    assert list(dict.fromkeys(kinds)) == ["comparing", "writing", "verifying", "resetting"]
    assert all(0 <= part <= whole for _, part, whole in seen)
    written = [event[1:] for event in seen if event[0] == "writing"]
    assert [part for part, _ in written] == sorted({part for part, _ in written})
    assert written[-1] == (14_000, 14_000)
    assert len(written) > 3
    assert seen[-3:] == [("verifying", 14_000, 14_000), ("resetting", 0, 1), ("resetting", 1, 1)]
    assert ("comparing", 14_000, 14_000) in seen


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


def test_reading_and_erasing_tell_of_themselves(image):
    seen = []
    with SimulatedBoard(options("stm32")) as board:
        flash(image, board.port)
        assert read(board.port, on_event=lambda *event: seen.append(event)) == image.read_bytes()
        assert seen[0] == ("reading", 2048, 14_000)
        assert seen[-1] == ("reading", 14_000, 14_000)
        seen.clear()
        erase(board.port, on_event=lambda *event: seen.append(event))
        assert seen == [("erasing", SIZE, SIZE)]
        seen.clear()
        with pytest.raises(errors.VerifyError):
            verify(image, board.port, on_event=lambda *event: seen.append(event))
        assert seen == [("comparing", 0, 14_000), ("comparing", 14_000, 14_000)]


# Beside mpremote


@pytest.mark.parametrize("family", FAMILIES)
def test_mpremote_agrees(family, image, tmp_path):
    """What it deploys verifies with ours, and what ours writes it finds, mounts and imports."""
    with SimulatedBoard(options(family)) as board:
        said = mpremote(board.port, "romfs", "query")
        (partition,) = query(board.port).partitions
        assert f"partition has size {partition.geometry.size} bytes" in said
        assert "Not a valid ROMFS" in said
        assert partition.image_size is None

        assert "ROMFS image deployed" in mpremote(board.port, "romfs", "deploy", image)
        assert verify(image, board.port).partitions[0].image_size == 14_000
        assert flash(image, board.port).plan.writes == 0

        other = put(tmp_path / "other.romfs", image_bytes(20_000, 9))
        flash(other, board.port)
        said = mpremote(board.port, "romfs", "query")
        payload = int(re.search(r"ROMFS image size: (\d+)", said)[1])
        (partition,) = query(board.port).partitions
        header = other.read_bytes()[:12].hex(":")
        assert f"Raw contents: {header} ..." in said
        assert partition.image_size == 20_000 == payload + 6
        code = "import os,vfs,m;print(m.who,m.__file__,os.listdir('/rom'))"
        assert mpremote(board.port, "exec", code) == "9 /rom/m.py ['data.bin', 'm.py']\r\n".replace("\r", "")
        code = "f=vfs.VfsRom(vfs.rom_ioctl(2,0));vfs.mount(f,'/x');import os;print(os.stat('/x/data.bin')[6])"
        with open_image(other) as opened:
            assert mpremote(board.port, "exec", f"import vfs;{code}").strip() == str(opened.file("data.bin").size)
        assert verify(other, board.port)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--erase", "--dry-run"), "--dry-run is for writing an image"),
        (("--query", "--full"), "--full is for writing an image"),
        (("image", "--whole"), "--whole is for --read"),
        (("image", "--query"), "IMAGE and --query: only one of these at a time"),
        (("--installed", "app", "--erase"), "--installed and --erase: only one of these at a time"),
        (("--erase", "--image", "x"), "--image is for --verify"),
        (("--erase", "--files"), "--files is for --query"),
    ],
)
def test_options_that_mean_nothing_together(arguments, message, tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", b"\xd2\xcd\x31\x00" + ERASED * (SIZE - 4))
    ran = romfs_flash(*arguments, "--port", f"sim:{file}")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}\n")
    assert file.read_bytes()[:3] == b"\xd2\xcd\x31"


def test_a_project_without_a_table_is_not_written_to_a_board(tmp_path, romfs_flash):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "app"\n')
    ran = romfs_flash(tmp_path, "--port", "sim:")
    assert (ran.status, "has no [tool.romfs] table" in ran.err) == (2, True)
