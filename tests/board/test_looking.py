"""What is on a board, compared or read back: by the command and by the Python API."""

import re

import pytest

from hatch_romfs.board.reading import query, read
from hatch_romfs.formats import open_image
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import (
    ERASED,
    FAMILIES,
    SIZE,
    coded,
    declared,
    held,
    image_bytes,
    options,
    put,
    signed_again,
    touched,
)
from tests.board.faulty import FaultyBoard
from tests.projects import make_project


def test_query_for_people(tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", image_bytes(14_000) + ERASED * (SIZE - 14_000) + ERASED * SIZE)
    with open_image(put(tmp_path / "i", image_bytes(14_000))) as opened:
        content = str(opened.content_sha256)
    with SimulatedBoard(SimOptions(file=file, port="stm32", size=SIZE, partitions=2)) as board:
        ran = romfs_flash("--query", "--port", board.port)
        assert romfs_flash("--query", "--quiet", "--port", board.port).out.splitlines()[2:] == ran.out.splitlines()[2:]
    first, second, *partitions = ran.out.splitlines()
    assert first == "Simulated board with stm32, MicroPython 1.29.0"
    assert re.fullmatch(r"loads \.mpy 6\.3, native code: x64; [\d,]+ bytes of memory free", second)
    shape = "65,536 bytes, 16 blocks of 4,096, written in units of 32, ranged"
    assert partitions == [
        f"partition 0: {shape}; holds an image of 14,000 bytes: app 1.0, content {content[:16]}",
        f"partition 1: {shape}; holds no image",
    ]


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("rp2", "written in units of 256, object; holds no image"),
        ("esp8266", "written in units of 32, whole; holds no image"),
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
    assert partition["geometry"] == {
        "size": SIZE,
        "block": 4096,
        "unit": 16,
        "erasing": "nothing",
        "reprogramming": "any",
    }
    assert (partition["number"], partition["access"], partition["image_size"]) == (0, "mram", 14_000)
    assert (partition["blocks"], partition["head"]) == (16, image_bytes(14_000)[:12].hex(":"))
    assert partition["problem"] == ""
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


@pytest.mark.parametrize("verify", [True, False])
def test_messages_name_the_project_and_not_its_temporary_image(verify, tmp_path, romfs_flash):
    text = "[project]\nname = 'app'\nversion = '1'\n[tool.romfs]\n" + ("" if verify else "format = 'linux'\n")
    root = make_project(tmp_path / "app", {"pyproject.toml": text, "src/app.py": "x = 1\n"})
    ran = romfs_flash(*(["--verify"] if verify else []), root, "--port", "sim:?size=64K")
    if verify:
        differs = f"1 of 1 blocks differ from {root}, the first of them block 0 at 0x0"
        assert ran == (6, "", f"error: {differs}\n'romfs-flash {root}' writes what differs.\n")
    else:
        assert ran == (5, "", f"error: {root} is not a MicroPython image\nBoards do not mount Linux romfs.\n")


def test_messages_about_many_boards_name_the_project_too(tmp_path, romfs_flash):
    text = "[project]\nname = 'app'\nversion = '1'\n[tool.romfs]\nformat = 'linux'\n"
    root = make_project(tmp_path / "app", {"pyproject.toml": text, "src/app.py": "x = 1\n"})
    ran = romfs_flash(root, "--port", "sim:?size=64K", "--port", "sim:?size=128K")
    assert ran == (5, "", f"error: {root} is not a MicroPython image\nBoards do not mount Linux romfs.\n")


def test_messages_about_files_name_the_project_too(tmp_path, romfs_flash):
    text = "[project]\nname = 'app'\nversion = '1'\n[tool.romfs]\n"
    root = make_project(tmp_path / "app", {"pyproject.toml": text, "src/app.py": "x = 1\n"})
    ran = romfs_flash("--verify", root, "--to-filesystem", "--port", "sim:?size=64K")
    assert ran.status == 6
    assert f"1 of 1 files in / differ from {root} or are missing: app.mpy\n" in ran.err


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
            f"'romfs-flash {other}' writes what differs.\n"
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
    assert ran == (2, "", f"error: {out} already exists\nName a new file.\n")
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
