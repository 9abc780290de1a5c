"""What is on a board now: by the command and by the Python API, held against the board's own word."""

import json
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from hatch_romfs import ImageError, flash, list_files
from hatch_romfs.board import probe
from hatch_romfs.board.agent import READ
from hatch_romfs.board.listing import MOST, Window
from hatch_romfs.board.listing import _listed as listed_in
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython import reader
from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.records import MAGIC, varuint
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files
from hatch_romfs.sim.board import PORTS, SimOptions, SimulatedBoard
from hatch_romfs.tree import Directory, File, files, walk
from tests.board.boards import SIZE, options, put
from tests.trees import tree, trees

ROOT = tree(
    {
        "lib/a.py": b"a" * 40,
        "lib/deep/er/b.py": b"a" * 40,
        "model.bin": bytes(range(256)) * 20,
        "empty": None,
        "none": b"",
        "ünï cödé": b"x" * 999,
    }
)
BOUNDARY = 32


def image_of(root: Directory, align: int = BOUNDARY) -> bytes:
    same = equal_files(root, smallest=SHARED_FROM)
    layout = lay_out(root, align=lambda _: align, same=same, metadata=Metadata("app", "1.0"))
    return b"".join(image_chunks(layout))


def flash_file(path, *images, size=SIZE):
    """Write what the flash of a board with a partition for each image holds."""
    return put(path, b"".join(data.ljust(size, b"\xff") for data in images))


def placed(root: Directory) -> dict[str, tuple[int, int] | None]:
    return {
        path: (image_content(node).offset, node.size) if isinstance(node, File) else None for path, node in walk(root)
    }


ON_THE_BOARD = """\
import os, uctypes
def found(folder):
 for name, kind, *_ in os.ilistdir(folder):
  path = folder + '/' + name
  if kind == 0x4000:
   yield from found(path)
  else:
   with open(path, 'rb') as f:
    yield path[5:], uctypes.addressof(f), len(memoryview(f))
import json
print(json.dumps(list(found('/rom'))))
"""


@pytest.mark.parametrize("family", [name for name in PORTS if name not in ("none", "no-romfs")])
def test_every_family_lists_what_the_board_itself_finds(family, tmp_path):
    """Address, size and name are those that a program on the board sees; it asks for them after us."""
    with SimulatedBoard(options(family, flash_file(tmp_path / "rom", image_of(ROOT)))) as board:
        with session(PortOptions(board.port)) as found:
            (partition,) = found.board.partitions
            listed = listed_in(found, partition)
            there = json.loads(found.repl.run(ON_THE_BOARD))
        base = listed.partition.address
        ours = [(path, base + image_content(file).offset, file.size) for path, file in files(listed.root)]
        assert sorted(ours) == sorted(map(tuple, there))
        assert placed(listed.root) == placed(reader.parse(memoryview(image_of(ROOT))).root)


def is_empty(node):
    return isinstance(node, Directory) and not node.entries


def test_two_partitions_for_people(tmp_path, romfs_flash):
    data = flash_file(tmp_path / "rom", image_of(ROOT), image_of(tree({"only.txt": b"12345"}), align=1))
    with SimulatedBoard(SimOptions(data, size=SIZE, partitions=2)) as board:
        ran = romfs_flash("--query", "--files", "--port", board.port)
        assert ran.status == 0
        (first, *rows, second, _, last) = ran.out.splitlines()[2:]
        assert first.startswith("partition 0: 65,536 bytes")
        assert second.startswith("partition 1: 65,536 bytes")
        assert last.split()[1::2] == ["5", "only.txt"]
        assert rows[0].split() == ["address", "size", "aligned", "path"]
        empty = [row for row in rows if row.endswith("/")]
        assert [row.split() for row in empty] == [[f"{path}/"] for path, node in walk(ROOT) if is_empty(node)]
        rows = [row for row in rows if row not in empty]
        assert [row.split(maxsplit=3)[3] for row in rows[1:]] == [path for path, _ in files(ROOT)]
        assert len({row.index(row.split(maxsplit=3)[3]) for row in rows}) == 1  # the columns stand below one another
        for row in rows[1:]:
            address, size, aligned, path = row.split(maxsplit=3)
            assert int(address, 16) % int(aligned) == 0
            assert int(address, 16) // int(aligned) % 2
            assert int(size) == dict(files(ROOT))[path].size
        quiet = romfs_flash("--query", "--files", "--quiet", "--port", board.port)
        # Each start of the simulated board has its own addresses, and its own free memory.
        assert [row.split()[1:] for row in quiet.out.splitlines()[2:]] == [
            row.split()[1:] for row in ran.out.splitlines()[2:]
        ]


def test_the_documents_for_machines(tmp_path, romfs_flash):
    data = flash_file(tmp_path / "rom", image_of(ROOT), b"")
    with SimulatedBoard(SimOptions(data, size=SIZE, partitions=2)) as board:
        first, second = romfs_flash("--query", "--files", "--json", "--port", board.port).document["partitions"]
        assert "entries" not in romfs_flash("--query", "--json", "--port", board.port).document["partitions"][0]
    assert (second["entries"], second["problem"], first["problem"]) == (None, None, None)
    assert [entry["path"] for entry in first["entries"]] == [path for path, _ in walk(ROOT)]
    expected = placed(reader.parse(memoryview(image_of(ROOT))).root)
    for entry in first["entries"]:
        if expected[entry["path"]] is None:
            assert entry["type"] == "directory"
            continue
        address = first["address"] + entry["offset"]
        assert (entry["offset"], entry["size"]) == expected[entry["path"]]
        assert (entry["address"], entry["alignment"]) == (address, address & -address)


def test_a_board_that_cannot_tell_an_address(tmp_path, romfs_flash):
    """Offsets stand in their place, and null: nothing is made up."""
    with SimulatedBoard(options("stm32", flash_file(tmp_path / "rom", image_of(ROOT)))) as board:
        for arguments in (["--json"], []):
            with session(PortOptions(board.port)) as found:
                found.reset = False
                found.repl.run("import sys\nsys.modules['uctypes']=sys")
            ran = romfs_flash("--query", "--files", *arguments, "--port", board.port)
            if arguments:
                (partition,) = ran.document["partitions"]
                assert partition["address"] is None
                places = [entry for entry in partition["entries"] if entry["type"] == "file"]
                assert all(entry["address"] is None for entry in places)
                assert all(entry["alignment"] == entry["offset"] & -entry["offset"] for entry in places)
        offset, _, aligned, path = ran.out.splitlines()[-1].split(maxsplit=3)
        assert ran.out.splitlines()[3].split()[0] == "offset"
        assert int(offset) == placed(reader.parse(memoryview(image_of(ROOT))).root)[path][0]
        assert int(aligned) >= BOUNDARY


@pytest.mark.parametrize(
    ("printed", "address"),
    [
        ("1887436800", 0x70800000),
        ("-1853882368", 0x91800000),
        ("139638282147448", 0x7F00_1234_5678),
        ("", None),
        ("no module named 'uctypes'", None),
        ("9" * 5000, None),
    ],
)
def test_addresses_that_older_firmware_prints_as_negative(printed, address):
    assert probe._address(printed) == address


def test_a_tree_on_a_terminal(tmp_path):
    url = f"sim:{flash_file(tmp_path / 'rom', image_of(ROOT))}?size=64K"
    inside, outside = pty.openpty()
    code = "from hatch_romfs.cli.flash import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--query", "--files", "--port", url],
        stdout=outside,
        stderr=outside,
        stdin=outside,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(outside)
    shown = b""
    try:
        while part := os.read(inside, 65536):
            shown += part
    except OSError:
        pass
    os.close(inside)
    assert process.wait(30) == 0, shown
    lines = shown.decode().splitlines()
    assert any("└── " in line and "b.py" in line and "  0x" in line for line in lines)
    assert any("app" in line and "1.0" in line and f"{len(image_of(ROOT)):,} bytes" in line for line in lines)


# What is no image, or a hostile one


def record(kind: int, payload: bytes) -> bytes:
    return varuint(kind) + varuint(len(payload)) + payload


def image(payload: bytes) -> bytes:
    return MAGIC + varuint(len(payload), 4 if len(payload) % 2 else 5) + payload


def deep(depth: int) -> bytes:
    payload = b""
    for _ in range(depth):
        payload = record(4, b"\x01d" + payload)
    return image(payload)


HOSTILE = {
    "kind 0": (image(b"\x00\x00"), "a record of kind 0: the image is corrupt"),
    "runs out": (image(record(5, b"\x01a\x02\x7f")), "a record of 127 bytes is larger than its parent"),
    "no end": (image(record(9, b"") + b"\x80" * 3000), "a number extends past the end"),
    "deep": (deep(300), "directories are nested more than 255 deep"),
    "a long name": (image(record(5, varuint(40_000) + b"n" * 40_000)), "a path is longer than 4096 bytes"),
    "a name for a terminal": (image(record(5, b"\x05\x1b[31m")), "a file has no data record"),
    "a pointer out": (image(record(5, b"\x01a" + record(3, varuint(9) + varuint(60_000)))), "leaves the image"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_broken_image_is_told_in_one_line(kind, tmp_path, romfs_flash):
    data, message = HOSTILE[kind]
    with SimulatedBoard(options("rp2", flash_file(tmp_path / "rom", data))) as board:
        ran = romfs_flash("--query", "--files", "--port", board.port)
        sent = board.relay.down.received
        document = romfs_flash("--query", "--files", "--json", "--port", board.port).document["partitions"][0]
    assert ran.status == 0
    last = ran.out.splitlines()[-1]
    assert last.startswith("its files cannot be listed: ")
    assert message in last
    assert (document["entries"], message in document["problem"]) == (None, True)
    assert sent < 20_000  # of the board's bytes, whatever the image says of itself


@pytest.mark.parametrize("data", [b"", b"not an image", MAGIC + b"\xff\xff\x7f", bytes(4000)])
def test_no_image(data, tmp_path, romfs_flash):
    with SimulatedBoard(options("stm32", flash_file(tmp_path / "rom", data))) as board:
        assert romfs_flash("--query", "--files", "--port", board.port).out.endswith("; holds no image\n")


@pytest.mark.parametrize(
    ("family", "said"), [("none", "ROMFS, but no partition reserved for it"), ("no-romfs", "no ROMFS in this firmware")]
)
def test_no_partition(family, said, romfs_flash):
    with SimulatedBoard(options(family)) as board:
        assert romfs_flash("--query", "--files", "--port", board.port).out.endswith(f"{said}\n")


def test_an_image_of_nothing_but_heads_comes_to_an_end(tmp_path, romfs_flash):
    size = 2 << 20
    data = flash_file(tmp_path / "rom", image(record(1, b"") * 700_000), size=size)
    with SimulatedBoard(options("stm32", data, size=size)) as board:
        ran = romfs_flash("--query", "--files", "--port", board.port)
        assert board.relay.down.received < 2.2 * MOST
    assert ran.status == 0
    assert "its files cannot be listed: more than 1 MiB of records; --read OUT gets them all (at " in ran.out


def test_files_are_for_a_query(romfs_flash):
    assert romfs_flash("--files", "--erase") == (2, "", "error: --files is for --query\n")


# The wire


class Watched(Window):
    """A window over bytes in memory, which notes what is fetched."""

    def __init__(self, data: bytes) -> None:
        self.pieces: list[tuple[int, int]] = []
        self.data = data
        super().__init__(self.fetch, len(data))

    def fetch(self, at: int, size: int) -> bytes:
        self.pieces.append((at, size))
        return self.data[at : at + size]


def parsed(view):
    """Return what a reader finds, or what is wrong."""
    try:
        return placed(reader.parse(view).root)
    except ImageError as error:
        return str(error)


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=3)


@given(root=trees(), align=st.sampled_from((1, 4, 64)), changes=CHANGES)
@effort(max_examples=300, deadline=None)
def test_through_a_window_a_reader_sees_the_same(root, align, changes):
    """Also of a broken image; every byte is fetched at most once, in order, and no piece is empty."""
    data = bytearray(image_of(root, align))
    for at, value in changes:
        data[at % len(data)] = value
    window = Watched(bytes(data))
    whole = parsed(memoryview(bytes(data)))
    if "other data follows" in whole or "cut short" in whole:  # a window is as long as the header says
        return
    assert parsed(window) == whole
    ends = [0, *(at + size for at, size in window.pieces)]
    assert all(size and end <= at for end, (at, size) in zip(ends, window.pieces, strict=False))
    assert max(size for _, size in window.pieces) <= READ
    assert window.fetched == sum(size for _, size in window.pieces)


def test_only_heads_are_fetched():
    large = image_of(tree({f"{number}.bin": bytes(9_000) for number in range(20)}), align=4)
    window = Watched(large)
    reader.parse(window)
    assert len(window.pieces) <= 22
    small = Watched(image_of(tree({f"{number:04}": b"" for number in range(2000)}), align=1))
    reader.parse(small)  # heads that lie end to end come in large pieces
    assert len(small.pieces) < 8 + len(small.data) / READ


def test_a_list_of_150_files_costs_a_twentieth_of_the_image(tmp_path):
    data = image_of(tree({f"module_{number:03}.bin": bytes([number]) * 1640 for number in range(150)}), align=1)
    path = put(tmp_path / "image", data)
    assert 248_000 < len(data) < 252_000
    with SimulatedBoard(options("rp2", size=512 << 10)) as board:
        flash(path, board.port)
        before = board.relay.up.sent + board.relay.down.received
        _, (listed,) = list_files(board.port)
        cost = board.relay.up.sent + board.relay.down.received - before
    assert sum(1 for _ in files(listed.root)) == 150
    assert cost < 32_000  # the image itself would be 500,000, for bytes come in hex
