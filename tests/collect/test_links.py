"""Links: followed inside a source folder, refused if they lead outside, are broken, or form a loop."""

import os
from pathlib import Path

import pytest

from hatch_romfs.tree import files
from tests.collect.support import collected, failure, listed, posix, write_files

pytestmark = posix

OUT = "Copy the file, exclude the link, or add its target's folder as a source."
LOOP = "is a link to a folder that contains it: a loop\nExclude it."
ELOOP = "Too many levels of symbolic links"


def linked(root: Path, links: dict[str, str], *paths: str) -> Path:
    """Make files and then links: where they are, and where they lead."""
    write_files(root, *(f"src/{path}" for path in paths))
    for link, target in links.items():
        at = root / "src" / link
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(target.replace("ROOT", str(root)))
    return root


def test_links_inside_are_followed(tmp_path):
    links = {"l.txt": "d/a.txt", "e": "d", "d/up.txt": "../b.txt", "abs": "ROOT/src/d/f", "chain": "e/f/c.txt"}
    linked(tmp_path, links, "d/a.txt", "d/f/c.txt", "b.txt")
    assert listed(tmp_path) == [
        "abs/", "abs/c.txt", "b.txt", "chain",
        "d/", "d/a.txt", "d/f/", "d/f/c.txt", "d/up.txt",
        "e/", "e/a.txt", "e/f/", "e/f/c.txt", "e/up.txt",
        "l.txt",
    ]  # fmt: skip
    found = {path: (file.origin, file.read()) for path, file in files(collected(tmp_path).tree)}
    assert found["e/up.txt"] == ("src/e/up.txt", b"src/b.txt")
    assert found["l.txt"] == ("src/l.txt", b"src/d/a.txt")
    assert found["chain"] == ("src/chain", b"src/d/f/c.txt")
    assert dict(files(collected(tmp_path).tree))["l.txt"].size == len("src/d/a.txt")


def test_the_same_folder_twice_is_not_a_loop(tmp_path):
    linked(tmp_path, {"a": "c", "b": "c", "d/e": "../c"}, "c/x")
    assert listed(tmp_path) == ["a/", "a/x", "b/", "b/x", "c/", "c/x", "d/", "d/e/", "d/e/x"]


def test_a_source_that_is_a_link_itself(tmp_path):
    linked(tmp_path, {"l": "a"}, "a")
    (tmp_path / "other").symlink_to("src")
    assert listed(tmp_path, sources=["other"]) == ["a", "l"]


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("../out.txt", "out.txt"),
        ("../other", "other"),
        ("ROOT/out.txt", "out.txt"),
        ("../srcs/x", "srcs/x"),  # a sibling whose name begins like the folder's
        ("..", ""),
        ("../gone", "gone"),
        ("second", "out.txt"),
    ],
)
def test_links_that_lead_out(tmp_path, target, leads_to):
    write_files(tmp_path, "out.txt", "other/x", "srcs/x")
    linked(tmp_path, {"d/l": target, "d/second": "../../out.txt"} if target == "second" else {"l": target})
    link = "src/d/l" if target == "second" else "src/l"
    real = os.path.realpath(tmp_path / leads_to)
    assert failure(tmp_path, exclude=["second"]) == f"{link} is a link to {real}, outside of src\n{OUT}"
    assert listed(tmp_path, exclude=["l", "second", "d"]) == []


def test_a_link_to_a_device(tmp_path):
    linked(tmp_path, {"null": "/dev/null"})
    assert failure(tmp_path) == f"src/null is a link to /dev/null, outside of src\n{OUT}"


def test_a_folder_through_a_link_may_not_lead_out_either(tmp_path):
    write_files(tmp_path, "out/x")
    linked(tmp_path, {"a": "b", "b/c": "../../out"})
    text = failure(tmp_path)
    assert text.endswith(f"/c is a link to {os.path.realpath(tmp_path / 'out')}, outside of src\n{OUT}")
    assert text.startswith(("src/a/c ", "src/b/c "))


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ({"l": "."}, ["src/l"]),
        ({"d/l": ".."}, ["src/d/l"]),
        ({"d/l": "../d"}, ["src/d/l"]),
        ({"a/b/c/l": "../.."}, ["src/a/b/c/l"]),
        ({"d/l": "ROOT/src"}, ["src/d/l"]),
        ({"d/l": "m", "d/m": "../../src/d"}, ["src/d/l", "src/d/m"]),
        # each is reached first or last, as the disk lists them
        ({"a/x": "../b", "b/y": "../a"}, ["src/a/x/y", "src/b/y/x"]),
        ({"a/x": "../b", "b/y": "../c", "c/z": "../a"}, ["src/a/x/y/z", "src/b/y/z/x", "src/c/z/x/y"]),
    ],
)
def test_loops_end(tmp_path, links, found):
    linked(tmp_path, links, "f")
    assert failure(tmp_path) in [f"{link} {LOOP}" for link in found]
    assert listed(tmp_path, exclude=["l", "m", "x", "y", "z", "*/"]) == ["f"]


def test_a_loop_of_a_plain_folder(tmp_path):
    linked(tmp_path, {"l": "."})
    assert failure(tmp_path / "src", plain=True) == f"{tmp_path}/src/l {LOOP}"


def test_a_loop_through_a_source_that_is_a_link(tmp_path):
    linked(tmp_path, {"d/l": "ROOT/src"})
    (tmp_path / "other").symlink_to("src")
    assert failure(tmp_path, sources=["other"]) == f"other/d/l {LOOP}"


@pytest.mark.parametrize("links", [{"l": "l"}, {"l": "m", "m": "l"}, {"d/l": "../d/l"}])
def test_links_to_themselves(tmp_path, links):
    linked(tmp_path, links)
    (first, *_) = links
    text = failure(tmp_path)
    assert text in [f"cannot follow src/{link}: {ELOOP}\nExclude it." for link in (first, "m")]


def test_links_to_themselves_may_be_excluded_as_the_hint_says(tmp_path):
    linked(tmp_path, {"l": "l"}, "a")
    assert listed(tmp_path, exclude=["l"]) == ["a"]


def test_a_link_to_nothing(tmp_path):
    linked(tmp_path, {"l": "gone"}, "a")
    assert failure(tmp_path) == "src/l is a broken link\nExclude it, or fix it."
    assert listed(tmp_path, exclude=["l"]) == ["a"]


def test_links_that_no_pattern_includes_are_ignored(tmp_path):
    write_files(tmp_path, "out.txt")
    linked(tmp_path, {"out.txt": "../out.txt", "gone.txt": "nothing"}, "a.py")
    assert listed(tmp_path, sources=[{"path": "src", "include": ["*.py"]}]) == ["a.py"]
