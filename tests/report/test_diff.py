"""What differs between two images, by the API and by ``romfs-image diff``."""

import json
import re

import pytest
from hypothesis import given, settings

from hatch_romfs import build, flash, image_diff
from hatch_romfs.formats.linux.image import LinuxImage
from hatch_romfs.formats.linux.layout import lay_out as lay_out_linux
from hatch_romfs.formats.linux.writer import image_chunks as linux_chunks
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.tree import Directory, File, MemoryContent, Special, Symlink
from tests.commands import on_a_terminal, romfs_image
from tests.projects import make_project
from tests.trees import contents, file, tree, trees

LISTS = ("added", "removed", "changed", "moved")


def rom_image(root):
    return RomImage(b"".join(image_chunks(lay_out(root))))


def linux_image(root, volume="v"):
    return LinuxImage(b"".join(linux_chunks(lay_out_linux(root, volume, same=hard_links(root)))))


def lists(diff):
    return {status: diff[status] for status in LISTS if diff[status]}


@given(a=trees(), b=trees())
@settings(deadline=None, max_examples=60)
def test_the_lists_are_those_of_the_trees(a, b):
    diff = image_diff(rom_image(a), rom_image(b))
    old, new = ({p: data for p, data in contents(root).items() if data is not None} for root in (a, b))
    is_file = lambda path: not path.endswith("/")  # noqa: E731 - empty folders are listed with a slash
    assert set(filter(is_file, diff["added"])) >= new.keys() - old.keys()
    assert set(filter(is_file, diff["removed"])) >= old.keys() - new.keys()
    assert set(diff["changed"]) == {path for path in old.keys() & new.keys() if old[path] != new[path]}
    assert set(diff["moved"]) <= {path for path in old.keys() & new.keys() if old[path] == new[path]}
    assert diff["equal"] == (bytes(rom_image(a).view) == bytes(rom_image(b).view))


def test_files_are_added_removed_changed_and_moved():
    a = tree({"a/kept": b"kept", "a/old": b"old", "b/changed": b"1", "z": b"moved by two", "empty": None})
    b = tree({"a/kept": b"kept", "a/new": b"new!!", "b/changed": b"2", "z": b"moved by two", "e": None})
    diff = image_diff(rom_image(a), rom_image(b))
    assert lists(diff) == {
        "added": ["a/new", "e/"],
        "removed": ["a/old", "empty/"],
        "changed": ["b/changed"],
        "moved": ["z"],
    }
    assert {folder["path"] for folder in diff["folders"]} >= {"a"}
    assert not diff["equal"]


def test_equal_images_have_no_changed_blocks():
    image = rom_image(tree({"a": b"x" * 9000}))
    diff = image_diff(image, image)
    assert (diff["equal"], diff["blocks"], diff["blocks_changed"], lists(diff)) == (True, 3, 0, {})


def test_the_block_of_the_header_is_written_with_any_other():
    a, b = (rom_image(tree({"a": b"x" * 20000 + end})) for end in (b"1", b"2"))
    assert image_diff(a, b)["blocks_changed"] == 2
    assert image_diff(a, b, block=1 << 14)["blocks_changed"] == 2
    assert image_diff(a, b, block=1 << 16)["blocks"] == 1


def test_linux_images_differ_in_links_devices_and_permissions():
    one = file(b"data")
    a = Directory(
        {
            "link": Symlink("there", ""),
            "tty": Special("character device", "", 4, 1),
            "run": File(MemoryContent(b"#!"), ""),
            "first": one,
            "second": one,
            "pipe": Special("fifo", ""),
        }
    )
    b = Directory(
        {
            "link": Symlink("elsewhere", ""),
            "tty": Special("character device", "", 4, 2),
            "run": File(MemoryContent(b"#!"), "", executable=True),
            "first": file(b"data"),
            "second": file(b"data"),
            "socket": Special("socket", ""),
        }
    )
    diff = image_diff(linux_image(a), linux_image(b))
    assert diff["changed"] == ["link", "run", "second", "tty"]
    assert (diff["added"], diff["removed"]) == (["socket"], ["pipe"])
    same = image_diff(linux_image(a), linux_image(a, "other volume"))
    assert (lists(same), same["equal"], same["blocks_changed"]) == ({}, False, 1)


FILES = {
    "pyproject.toml": '[project]\nname = "app"\nversion = "1.0.0"\n[tool.romfs]\n',
    "src/app.py": "print(1)\n",
    "src/data.bin": bytes(9000),
    "src/gone.txt": "gone",
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diff")
    before = make_project(folder / "before", FILES)
    after = make_project(folder / "after", FILES | {"src/app.py": "print(22)\n", "src/new.txt": "new"})
    (after / "src/gone.txt").unlink()
    return before, after


def test_two_builds_of_a_project_are_compared(projects, tmp_path):
    before = build(projects[0], tmp_path / "before.romfs").path
    done = romfs_image("diff", before, projects[1], "--json", status=1)
    document = json.loads(done.stdout)
    expected = {"added": ["new.txt"], "removed": ["gone.txt"], "changed": ["app.mpy"]}
    assert {name: document[name] for name in expected} == expected
    assert document["blocks"] == 3
    assert romfs_image("diff", before, projects[0]).stdout.endswith("the images are equal, byte for byte\n")
    text = romfs_image("diff", *projects, status=1).stdout
    assert re.search(r"^\+ +3 +\+3  new\.txt$", text, re.MULTILINE)
    assert re.search(r"^- +4 +-4  gone\.txt$", text, re.MULTILINE)
    assert re.search(r"^~ .* app\.mpy$", text, re.MULTILINE)
    assert re.search(r"^\d of 3 erase blocks of 4,096 bytes would be written$", text, re.MULTILINE)
    markdown = romfs_image("diff", *projects, "--markdown", status=1).stdout
    assert "| added | `new.txt` |  | 3 | +3 |" in markdown
    assert "| removed | `gone.txt` | 4 |  | -4 |" in markdown


def test_a_board_is_compared_with_what_would_be_written_to_it(projects, tmp_path):
    port = f"sim:{tmp_path / 'rom.bin'}?size=64K"
    before = build(projects[0], tmp_path / "before.romfs").path
    empty = json.loads(romfs_image("diff", before, "--port", port, "--json", status=1).stdout)
    assert empty["added"] == ["app.mpy", "data.bin", "gone.txt"]
    assert empty["blocks_changed"] == empty["blocks"] == 3
    flash(before, port)
    romfs_image("diff", before, "--port", port)
    document = json.loads(romfs_image("diff", projects[1], "--port", port, "--json", status=1).stdout)
    assert (document["added"], document["removed"]) == (["new.txt"], ["gone.txt"])
    after = build(projects[1], tmp_path / "after.romfs").path
    plan = flash(after, port, dry_run=True).plan
    assert document["blocks_changed"] == document["blocks"] - plan.kept


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_output_fits_the_terminal(projects, tmp_path, width):
    images = [build(project, tmp_path / f"{number}.romfs").path for number, project in enumerate(projects)]
    shown = on_a_terminal("diff", *images, columns=width, status=1)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= width
    assert any(set(line) <= set("█·") and len(line) == 3 for line in lines)


def test_what_to_compare_with_must_be_clear(projects):
    for arguments in ((projects[0],), (*projects, "--port", "sim:")):
        assert "a board with --port" in romfs_image("diff", *arguments, status=2).stderr
    assert "--partition is for --port" in romfs_image("diff", *projects, "--partition", "1", status=2).stderr
