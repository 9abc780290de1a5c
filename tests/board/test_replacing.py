"""What a write takes away from a board: listed before anything is erased, cheaply, and asked for on a terminal."""

import os
import pty
import subprocess
import sys

import pexpect
import pytest

from hatch_romfs import flash, write_filesystem
from hatch_romfs.board.messages import describe_replacement
from hatch_romfs.board.replacing import Replacement
from hatch_romfs.errors import RomfsError
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import foreign, judges
from tests.board.boards import FAMILIES, held, options, put
from tests.projects import make_project
from tests.trees import tree

FILES = {f"firmware/{number:02}.bin": bytes([number]) * (300 + number * 7) for number in range(38)}
VENDOR = FILES | {"boot.mpy": b"M\x06\x00\x1f" + bytes(20), "shared.txt": b"both\n"}
OURS = {"boot.py": b"x = 1\n", "shared.txt": b"ours\n", "app/a.py": b"y = 1\n", "app/b.py": b"z = 1\n"}


def image_of(files, name="app", version="1.0"):
    return b"".join(image_chunks(lay_out(tree(files), metadata=Metadata(name, version) if name else None)))


PYPROJECT = '[project]\nname = "app"\nversion = "1.0"\n[tool.romfs]\n'
VENDOR_IMAGE = image_of(VENDOR, "openmv", "4.7")


@pytest.fixture
def ours(tmp_path):
    return put(tmp_path / "ours.romfs", image_of(OURS))


def board_with(image, folder, family="rp2"):
    return SimulatedBoard(options(family, put(folder / "rom.bin", image.ljust(64 << 10, b"\xff"))))


@pytest.mark.parametrize("family", FAMILIES)
def test_files_that_disappear_are_known_before_anything_is_erased(family, ours, tmp_path):
    found = []

    def stop(replacement):
        found.append(replacement)
        raise RomfsError("no")

    with board_with(VENDOR_IMAGE, tmp_path, family) as board:
        with pytest.raises(RomfsError, match="no"):
            flash(ours, board.port, on_replace=stop)
        assert held(board).startswith(VENDOR_IMAGE)
    (replacement,) = found
    assert replacement == Replacement(0, "openmv", "4.7", "app", tuple(sorted(FILES)))
    assert replacement.is_other


def test_a_script_is_told_and_never_asked(ours, tmp_path, romfs_flash):
    with board_with(VENDOR_IMAGE, tmp_path) as board:
        dry = romfs_flash(ours, "--dry-run", "--port", board.port)
        ran = romfs_flash(ours, "--port", board.port)
        assert ran.status == 0
        assert held(board).startswith(ours.read_bytes())
    lines = ran.err.splitlines()
    assert lines[0] == "partition 0: the image openmv 4.7 has 38 files that the new one does not have:"
    assert lines[1:11] == [f"  firmware/{number:02}.bin" for number in range(10)]
    assert lines[11:] == ["  (and 28 more; -v lists all)"]
    assert dry.err == ran.err


def test_all_are_listed_if_asked_for_and_in_the_document(ours, tmp_path, romfs_flash):
    for arguments in (["-v"], ["-q"], ["--json"]):
        with board_with(VENDOR_IMAGE, tmp_path) as board:
            ran = romfs_flash(ours, *arguments, "--port", board.port)
        assert ran.status == 0
        assert ("  firmware/37.bin" in ran.err.splitlines()) == (arguments == ["-v"])
        assert (ran.err == "") == (arguments != ["-v"])
        if arguments == ["--json"]:
            assert ran.document["removed"] == sorted(FILES)


def test_an_edit_of_the_same_image_lists_only_what_disappears(ours, tmp_path, romfs_flash):
    edited = put(tmp_path / "edited", image_of(OURS | {"app/a.py": b"y = 2\n"}))
    fewer = put(tmp_path / "fewer", image_of({path: data for path, data in OURS.items() if path != "app/b.py"}))
    with board_with(ours.read_bytes(), tmp_path) as board:
        assert romfs_flash(ours, "--port", board.port).err == ""
        assert romfs_flash(edited, "--port", board.port).err == ""
        assert romfs_flash(fewer, "--port", board.port).err == (
            "partition 0: the old image has 1 file that the new one does not have:\n  app/b.py\n"
        )


NOT_LISTED = {
    "none": b"",
    "damaged": VENDOR_IMAGE.replace(b"shared.txt", b"shared/txt"),
    "foreign": foreign.IMAGES["odd"],
}


@pytest.mark.parametrize("what", NOT_LISTED)
def test_whatever_a_partition_holds_it_is_replaced(what, ours, tmp_path, romfs_flash):
    expected = {
        "none": "",
        "damaged": "partition 0: the image openmv 4.7 will be replaced; its files cannot be listed: the name 'shared/t",
        "foreign": "partition 0: the image without a name has 3 files that the new one does not have:",
    }
    with board_with(NOT_LISTED[what], tmp_path) as board:
        ran = romfs_flash(ours, "--port", board.port)
        assert ran.status == 0
        assert ran.err.startswith(expected[what])
        assert held(board).startswith(ours.read_bytes())


def test_names_on_a_board_cannot_imitate_lines_of_ours():
    found = Replacement(0, "a\nerror: b", "\x1b[2J", "app", ("x\ny",))
    from hatch_romfs.errors import one_line

    assert all(one_line(line).isprintable() for line in describe_replacement(found))


def test_it_costs_nothing_if_nothing_changes_and_little_for_an_edit(tmp_path):
    """Bytes in both directions, beside the same writes without a question for what is on the board."""
    modules = {f"m{number:03}.bin": bytes([number]) * (900 + number * 13 % 700) for number in range(120)}
    edit = modules | {"m060.bin": b"\xff" + modules["m060.bin"][1:]}
    steps = [put(tmp_path / str(number), image_of(files)) for number, files in enumerate((modules, modules, edit))]
    steps.append(put(tmp_path / "other", image_of(OURS, "other")))
    costs = {}
    for on_replace in (None, lambda _: None):
        with SimulatedBoard(options("rp2", size=512 << 10)) as board:
            done = [flash(step, board.port, on_replace=on_replace) for step in steps]
        costs[on_replace is None] = [(one.sent, one.received) for one in done]
    more = [(ours[0] - plain[0], ours[1] - plain[1]) for ours, plain in zip(costs[False], costs[True], strict=True)]
    assert all(abs(sent) <= 30 for sent, _ in more[:2])  # the board's free memory has more or fewer digits
    assert all(abs(received) <= 600 for _, received in more[:2])
    assert more[2][0] <= 400
    assert more[2][1] <= 2500
    size = steps[2].stat().st_size
    assert size > 140_000
    assert more[3][0] <= 0.05 * size
    assert more[3][1] <= 0.15 * size


# On a terminal


def answered(command, answer):
    """Run a command on a terminal of its own, type the answer when it asks, and return its status and what it shows."""
    inside, outside = pty.openpty()
    code = "from hatch_romfs.cli.flash import main; main()"
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)], stdin=outside, stdout=outside, stderr=outside, env=env
    )
    os.close(outside)
    shown = b""
    try:
        while part := os.read(inside, 65536):
            shown += part
            if b"[y/N] " in shown and answer is not None:
                os.write(inside, answer)
                answer = None
    except OSError:
        pass
    os.close(inside)
    return process.wait(60), shown.decode(), answer is None


@pytest.mark.parametrize("answer", [b"y\n", b"\n", b"no\n", b"\x04"])
def test_a_person_is_asked_before_the_image_of_another_project_is_replaced(answer, ours, tmp_path):
    with board_with(VENDOR_IMAGE, tmp_path) as board:
        status, shown, was_asked = answered([ours, "--port", board.port], answer)
        replaced = held(board).startswith(ours.read_bytes())
        kept = held(board).startswith(VENDOR_IMAGE)
    assert was_asked
    assert "Replace openmv 4.7 with app? [y/N] " in shown
    assert "  firmware/09.bin" in shown
    assert (status, replaced, kept) == ((0, True, False) if answer == b"y\n" else (1, False, True))
    assert ("partition 0 was not changed" in shown) == kept


def test_nobody_is_asked_about_an_image_of_the_same_name_or_with_yes(ours, tmp_path):
    other = put(tmp_path / "other", image_of({"x.txt": b"1"}))
    with board_with(VENDOR_IMAGE, tmp_path) as board:
        for command in ([ours, "--yes"], [other], [ours]):
            status, shown, _ = answered([*command, "--port", board.port], None)
            assert status == 0
            assert "[y/N]" not in shown
        assert held(board).startswith(ours.read_bytes())


@pytest.mark.parametrize("answer", [b"y\n", b"no\n"])
def test_a_person_is_asked_before_the_files_of_another_project_are_replaced_in_a_filesystem(answer, ours, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    vendor = put(tmp_path / "vendor", image_of({"old.txt": b"1"}, "openmv"))
    with SimulatedBoard(SimOptions(port="no-romfs", root=root)) as board:
        command = ["--to-filesystem", "--port", board.port]
        write_filesystem(vendor, board.port)
        status, shown, was_asked = answered([ours, *command], answer)
        assert was_asked
        assert "old.txt" in shown
        assert "Replace the files of openmv with app? [y/N] " in shown
        assert (status, (root / "old.txt").exists()) == ((0, False) if answer == b"y\n" else (1, True))
        assert (root / "app" / "a.py").exists() == (answer == b"y\n")
        for same in ([ours, "--yes"], [ours]):
            status, shown, _ = answered([*same, *command], None)
            assert status == 0
            assert "[y/N]" not in shown


def test_watch_replaces_no_other_image_on_a_terminal_unless_it_may(tmp_path):
    app = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/shared.txt": "1"})
    with board_with(VENDOR_IMAGE, tmp_path) as board:
        for more, expected in (
            ([], "error: partition 0: the image openmv 4.7 has 39 files"),
            (["--yes"], r"wrote [1-9]\d* of"),
            ([], r"wrote 0 of"),
        ):
            arguments = [str(app), "--watch", "--port", str(board.port), *more]
            child = pexpect.spawn(judges.command("romfs-flash"), arguments, encoding="utf-8", timeout=60, echo=False)
            child.expect(expected)
            kept = held(board).startswith(VENDOR_IMAGE)
            assert kept == expected.startswith("error")
            child.close(force=True)


def test_watch_replaces_no_files_of_another_project_on_a_terminal_unless_it_may(tmp_path):
    app = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/shared.txt": "1"})
    root = tmp_path / "root"
    root.mkdir()
    vendor = put(tmp_path / "vendor", image_of({"old.txt": b"1"}, "openmv"))
    with SimulatedBoard(SimOptions(port="no-romfs", root=root)) as board:
        write_filesystem(vendor, board.port)
        for more, expected in (
            ([], "error: / has the files of openmv, 1 file of which the new image does not have:"),
            (["--yes"], "wrote 1 of 1 file, removed 1"),
            ([], "wrote 0 of 1 file"),
        ):
            arguments = [str(app), "--watch", "--to-filesystem", "--port", str(board.port), *more]
            child = pexpect.spawn(judges.command("romfs-flash"), arguments, encoding="utf-8", timeout=60, echo=False)
            child.expect(expected)
            assert (root / "old.txt").exists() == expected.startswith("error")
            child.close(force=True)


def test_an_image_read_from_a_board_can_be_the_base_of_the_next_one(tmp_path, romfs_flash):
    app = make_project(
        tmp_path / "app", {"pyproject.toml": f'{PYPROJECT}base = "vendor.romfs"\n', "src/a.py": "x = 1\n"}
    )
    with board_with(VENDOR_IMAGE, tmp_path) as board:
        assert romfs_flash("--read", app / "vendor.romfs", "--port", board.port).status == 0
        assert (app / "vendor.romfs").read_bytes() == VENDOR_IMAGE
        ran = romfs_flash(app, "--port", board.port)
        assert ran.err == "partition 0: the image openmv 4.7 will be replaced; the new one has all of its files\n"
        listed = romfs_flash("--query", "--files", "--json", "--port", board.port).document["partitions"][0]["entries"]
    assert {entry["path"] for entry in listed if entry["type"] == "file"} == {*VENDOR, "a.mpy"}


def test_yes_is_for_writing(romfs_flash):
    assert romfs_flash("--yes", "--query").err == "error: --yes is for writing an image\n"
