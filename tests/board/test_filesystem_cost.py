"""What ``--to-filesystem`` sends beside ``mpremote cp -r`` of the same files: bytes up the wire, but no seconds."""

import filecmp

import pytest

from benchmarks.flash import find_modules
from hatch_romfs import build, open_image, write_filesystem
from hatch_romfs.images.extract import extract
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import mpremote

MODULES = 30
FIRST = 0.3
"""Part of mpremote's bytes for the first time: it sends bytes as Python literals."""


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Copy with mpremote, and write with us: first, again, and after an edit of one file."""
    folder = tmp_path_factory.mktemp("cost")
    source, root = folder / "app", folder / "root"
    for _ in find_modules(source, MODULES):
        pass
    (source / "data.bin").write_bytes(bytes(range(256)) * 40)
    (source / "lib").mkdir()
    (source / "lib" / "util.py").write_text("x = 1\n")
    image = build(source, folder / "app.romfs", cache=False).path
    with open_image(image) as opened:
        extract(opened, folder / "files")
    root.mkdir()
    sent, peer = {}, {}
    with SimulatedBoard(SimOptions(port="no-romfs", root=root)) as board:
        for name in ("first", "again"):
            before = board.relay.up.sent
            mpremote(board.port, "cp", "-r", folder / "files", ":")
            peer[name] = board.relay.up.sent - before
        for name in ("first", "again"):
            sent[name] = write_filesystem(image, board.port, folder="ours").sent
        (source / "lib" / "util.py").write_text("x = 2\n")
        edited = build(source, folder / "edited.romfs", cache=False).path
        sent["edit"] = write_filesystem(edited, board.port, folder="ours").sent
    return folder, sent, peer


def test_both_write_the_same_files(costs):
    folder, _, _ = costs
    compared = filecmp.dircmp(folder / "files", folder / "root" / "files", ignore=[])
    assert not compared.left_only
    assert not compared.diff_files
    ours = filecmp.dircmp(folder / "files", folder / "root" / "ours", ignore=[])
    assert (ours.left_only, ours.right_only, ours.diff_files) == ([], ["romfs-1.txt"], [])


def test_bytes_up_the_wire_beside_mpremote(costs):
    _, sent, peer = costs
    assert sent["first"] <= FIRST * peer["first"]
    assert sent["again"] < 4000
    assert sent["again"] < peer["again"]
    assert sent["edit"] < 8000
