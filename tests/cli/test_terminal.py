"""What commands look like on terminals of any width, with hostile names, and without standard output."""

import os
import re
import subprocess

import pytest

import hatch_romfs
from hatch_romfs.cli import command
from tests import judges
from tests.commands import on_a_terminal, romfs_image
from tests.content import checked_build as build
from tests.projects import make_project


@pytest.fixture
def folder(tmp_path):
    names = {"a/deep/er/module.py": "x", "ein langer name mit ü und 漢字 darin.txt": "y" * 5000, "z.bin": "z" * 70}
    root = make_project(tmp_path / "tree", names)
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize("width", [30, 50, 100, 200])
def test_a_tree_has_the_same_columns_in_every_row(folder, width):
    from rich.cells import cell_len

    image = build(folder).path
    shown = on_a_terminal("tree", image, columns=width)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()][1:]
    rows = [line for line in lines if re.search(r"0x", line)]
    assert len(rows) == 3
    ends = {cell_len(line) for line in rows}
    assert len(ends) == 1, lines
    assert ends.pop() == cell_len(lines[0])
    if width >= 50:
        assert max(map(cell_len, lines)) <= width


@pytest.mark.skipif(os.name != "posix", reason="Windows allows no such names")
@pytest.mark.parametrize("terminal", [True, False])
def test_a_name_with_a_newline_is_one_row(tmp_path, terminal):
    fake = "a\n        16          1        1  fake"
    image = build(make_project(tmp_path / "tree", {fake: "x"})).path
    shown = on_a_terminal("tree", image) if terminal else romfs_image("tree", image).stdout
    assert len(shown.splitlines()) == (3 if terminal else 2)
    assert "\\n" in shown


def test_empty_folders_are_listed(folder):
    assert re.search(r"^ +empty/$", romfs_image("tree", build(folder).path).stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("environment", "is_colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"CI": "true"}, False)],
)
def test_labels_are_colored_only_where_that_is_wanted(environment, is_colored, monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = "\x1b[1;31merror:\x1b[0m" if is_colored else "error:"
    assert command.label("error", command.RED, Terminal()) == expected


def test_a_wrong_option_suggests_the_closest_one_and_the_command_s_help(tmp_path):
    failed = romfs_image("build", "--alignn", "4", status=2)
    assert "unrecognized arguments: --alignn" in failed.stderr
    assert "did you mean '--align'?" in failed.stderr
    assert "'romfs-image build --help' prints the options." in failed.stderr


def test_info_of_an_image_with_wrong_content_exits_with_3(image):
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    done = romfs_image("info", image, status=3)
    assert re.search(r"content_matches: +no", done.stdout)
    assert "the content does not match the SHA-256 in the image" in done.stderr
    assert '"content_matches": false' in romfs_image("info", image, "--json", status=3).stdout


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX closes it")
def test_a_command_without_standard_output_works(image):
    done = subprocess.run(
        ["sh", "-c", '"$0" info "$1" >&-', judges.command("romfs-image"), image],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_package_offers_can_be_listed(image):
    assert {"build", "__version__"} <= set(dir(hatch_romfs))
    assert re.match(r"\d+\.\d+", str(hatch_romfs.__version__))
    with hatch_romfs.open_image(image) as found:
        assert re.fullmatch(r"<RomImage 'My.app' from .*: [\d,]+ bytes>", repr(found))
