"""Which folders go where, and which of their files are included."""

import random

import pytest

from hatch_romfs.collect.sources import collect_folder
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.tree import DiskContent, files
from tests.collect.support import collected, failure, listed, listing, write_files

NAMES = ["10", "9", "B", "a.b/x", "a/b/c", "a/b.d", "a-b", "a b", "z", "ä", "é.py", "\uffee", "\U0001f600", "Ω/ω"]


def test_the_order_is_that_of_the_names_bytes_however_they_were_made(tmp_path):
    shuffled = random.Random(7).sample(NAMES, len(NAMES))
    made = [
        write_files(tmp_path / str(count), *(f"src/{name}" for name in order))
        for count, order in enumerate((NAMES, shuffled))
    ]
    first, second = (listed(root) for root in made)
    assert first == second
    top = [path for path in first if "/" not in path.rstrip("/")]
    assert top == sorted(top, key=lambda path: path.rstrip("/").encode())
    assert len(top) == 13
    # a folder's content follows it, and is no part of the order of the names beside it
    assert [path for path in first if path.startswith("a")] == [
        "a/", "a/b/", "a/b/c", "a/b.d", "a b", "a-b", "a.b/", "a.b/x",
    ]  # fmt: skip


def test_files_stay_on_disk_and_know_where_they_are_from(tmp_path):
    write_files(tmp_path, "src/a b/ü.txt", "src/c", data="grüße")
    found = dict(files(collected(tmp_path, sources=["src/../src/"]).tree))
    assert {path: (file.origin, file.size, file.read()) for path, file in found.items()} == {
        "a b/ü.txt": ("src/../src/a b/ü.txt", 7, "grüße".encode()),
        "c": ("src/../src/c", 7, "grüße".encode()),
    }
    for file in found.values():
        assert isinstance(file.content, DiskContent)


def test_sources_and_libraries_have_their_places(tmp_path):
    write_files(tmp_path, "src/app/a.py", "web/index.html", "vendor/one.py", "more/two.py", "more/two.txt")
    assert listed(
        tmp_path,
        sources=["src", {"path": "web", "to": "app/www/v1"}],
        lib=["vendor", {"path": "more", "to": "sub", "include": ["*.py"]}],
        lib_dir="libs/all",
    ) == [
        "app/", "app/a.py", "app/www/", "app/www/v1/", "app/www/v1/index.html",
        "libs/", "libs/all/", "libs/all/one.py", "libs/all/sub/", "libs/all/sub/two.py",
    ]  # fmt: skip


def test_libraries_may_go_to_the_root(tmp_path):
    write_files(tmp_path, "src/a.py", "vendor/b.py")
    assert listed(tmp_path, lib=["vendor"], lib_dir="") == ["a.py", "b.py"]
    assert listed(tmp_path, lib=["vendor"]) == ["a.py", "lib/", "lib/b.py"]


def test_folders_of_several_sources_are_merged(tmp_path):
    write_files(tmp_path, "src/p/q/a", "src/p/b", "two/p/q/c", "two/p/d", "three/lib/e", "vendor/f")
    expected = ["lib/", "lib/e", "lib/f", "p/", "p/b", "p/d", "p/q/", "p/q/a", "p/q/c"]
    assert listed(tmp_path, sources=["src", "two", "three"], lib=["vendor"]) == expected
    assert listed(tmp_path, sources=["three", "two", "src"], lib=["vendor"]) == expected


def test_an_empty_source_creates_no_folder(tmp_path):
    write_files(tmp_path, "src/a", "vendor/", "web/x.pyc")
    assert listed(tmp_path, sources=["src", {"path": "web", "to": "www"}], lib=["vendor"]) == ["a"]


def test_a_source_may_be_anywhere(tmp_path):
    write_files(tmp_path, "app/pyproject.toml", "shared/a", "else/b")
    assert listed(tmp_path / "app", sources=["../shared", str(tmp_path / "else")]) == ["a", "b"]


def test_no_sources_make_an_empty_tree(tmp_path):
    assert listed(tmp_path, sources=[]) == []


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, ["a.md", "a.py", "d/", "d/b.md", "empty/"]),
        ({"exclude": ["*.md"]}, ["a.py", "d/", "empty/"]),
        ({"exclude": ["*.md", "!a.md"]}, ["a.md", "a.py", "d/", "empty/"]),
        ({"exclude": ["/a.*", "empty/"]}, ["d/", "d/b.md"]),
        ({"exclude": ["d"]}, ["a.md", "a.py", "empty/"]),
        ({"exclude": ["!*.romfs", "!.git", "d"]}, [".git/", ".git/x", "a.md", "a.py", "empty/", "old.romfs"]),
        ({"sources": [{"path": "src", "exclude": ["*.py"]}]}, ["a.md", "d/", "d/b.md", "empty/"]),
        ({"sources": [{"path": "src", "exclude": ["!a.*"]}], "exclude": ["?.*", "d"]}, ["a.md", "a.py", "empty/"]),
        # of what an `include` is asked about, folders that hold none of it are no part
        ({"sources": [{"path": "src", "include": ["*.md"]}]}, ["a.md", "d/", "d/b.md"]),
        ({"sources": [{"path": "src", "include": ["d"]}]}, ["d/", "d/b.md"]),
        ({"sources": [{"path": "src", "include": ["*.md", "!b.md"]}]}, ["a.md"]),
        ({"sources": [{"path": "src", "include": ["*.md"], "exclude": ["d"]}]}, ["a.md"]),
        ({"sources": [{"path": "src", "include": ["*.romfs", ".git/x", "a.py"]}]}, ["a.py"]),
    ],
)  # fmt: skip
def test_patterns_choose(tmp_path, table, expected):
    write_files(
        tmp_path, "src/a.md", "src/a.py", "src/d/b.md", "src/empty/", "src/old.romfs", "src/.git/x", "src/__pycache__/x"
    )
    assert listed(tmp_path, **table) == expected


def test_patterns_of_a_source_are_its_own(tmp_path):
    write_files(tmp_path, "src/a.md", "web/b.md", "vendor/c.md")
    sources = [{"path": "src", "exclude": ["*.md"]}, {"path": "web", "include": ["b.*"]}]
    assert listed(tmp_path, sources=sources, lib=["vendor"]) == ["b.md", "lib/", "lib/c.md"]


@pytest.mark.parametrize("source", [".", "./", "src/.."])
def test_outputs_of_builds_are_left_out_of_the_project_s_own_folder(tmp_path, source):
    write_files(tmp_path, "dist/a.whl", "build/x", "src/dist/b", "src/build/c", "a.py")
    assert listed(tmp_path, sources=[source]) == [
        "a.py",
        "src/",
        "src/build/",
        "src/build/c",
        "src/dist/",
        "src/dist/b",
    ]


def test_build_outputs_can_be_included(tmp_path):
    write_files(tmp_path, "dist/a", "a.py")
    assert listed(tmp_path, sources=["."], exclude=["!/dist"]) == ["a.py", "dist/", "dist/a"]
    assert listed(tmp_path, sources=["dist"]) == ["a"]
    write_files(tmp_path, "src/dist/b", "src/build/c")
    assert listed(tmp_path) == ["build/", "build/c", "dist/", "dist/b"]


def test_a_plain_folder_is_packed_unchanged(tmp_path):
    write_files(tmp_path, "dist/a", "lib/b.py", "src/c", "x.romfs", ".git/y")
    found = collect_folder(Settings(exclude=("src",)), tmp_path)
    assert listing(found.tree) == ["dist/", "dist/a", "lib/", "lib/b.py"]
    assert found.tree.entries.keys() == {"dist", "lib"}
    assert [file.origin for _, file in files(found.tree)] == [f"{tmp_path}/dist/a", f"{tmp_path}/lib/b.py"]


def test_every_missing_folder_is_reported_at_once(tmp_path):
    write_files(tmp_path, "src/a", "two")
    sources = ["gone", "src", "two", {"path": "src/a/b"}]
    with pytest.raises(SettingsError) as caught:
        collected(tmp_path, sources=sources, lib=["vendor"])
    advice = "name its parent folder, and select the file with `include`"
    assert str(caught.value).splitlines() == [
        f"tool.romfs.sources[0]: {tmp_path / 'gone'} does not exist",
        f"tool.romfs.sources[2]: {tmp_path / 'two'} is not a folder; {advice}",
        f"tool.romfs.sources[3]: {tmp_path / 'src/a/b'} does not exist",
        f"tool.romfs.lib[0]: {tmp_path / 'vendor'} does not exist",
        "`sources` (by default src) and `lib` name folders relative to pyproject.toml.",
    ]


def test_a_missing_plain_folder(tmp_path):
    assert failure(tmp_path / "gone", plain=True) == f"{tmp_path / 'gone'} does not exist"
    write_files(tmp_path, "a")
    assert failure(tmp_path / "a", plain=True).startswith(f"{tmp_path / 'a'} is not a folder; ")


def test_a_folder_s_name_that_is_too_long(tmp_path):
    assert failure(tmp_path, sources=["a" * 300]).startswith("tool.romfs.sources[0]: ")


def test_bad_patterns_name_their_setting(tmp_path):
    write_files(tmp_path, "src/a")
    bad = "'!' is not a gitignore pattern\n"
    assert failure(tmp_path, exclude=["a", "!"]).startswith(f"tool.romfs.exclude[1]: {bad}")
    for key in ("include", "exclude"):
        sources = ["src", {"path": "src", key: ["!"], "to": "b"}]
        assert failure(tmp_path, sources=sources).startswith(f"tool.romfs.sources[1].{key}[0]: {bad}")
    wrong = failure(tmp_path, lib=[{"path": "src", "exclude": ["!"]}])
    assert wrong.startswith(f"tool.romfs.lib[0].exclude[0]: {bad}")


@pytest.mark.parametrize(
    ("table", "where", "first", "second"),
    [
        ({"sources": ["src", "two"]}, "p/a.py", "src/p/a.py", "two/p/a.py"),
        ({"sources": ["two", "src"]}, "p/a.py", "two/p/a.py", "src/p/a.py"),
        ({"sources": ["src", "src"]}, "p/a.py", "src/p/a.py", "src/p/a.py"),
        ({"lib": ["two"], "lib_dir": ""}, "p/a.py", "src/p/a.py", "two/p/a.py"),
        ({"sources": ["src", {"path": "three", "to": "p"}]}, "p/a.py", "src/p/a.py", "three/a.py"),
        ({"sources": [{"path": "src", "to": "lib"}], "lib": ["two"]}, "lib/p/a.py", "src/p/a.py", "two/p/a.py"),
    ],
)
def test_two_sources_for_one_target_are_both_named(tmp_path, table, where, first, second):
    write_files(tmp_path, "src/p/a.py", "two/p/a.py", "three/a.py")
    with pytest.raises(BuildError) as caught:
        collected(tmp_path, **table)
    assert str(caught.value) == (
        f"two sources for {where!r} in the image: {first} and {second}\nExclude or rename one of them."
    )


@pytest.mark.parametrize("order", [["src", "two"], ["two", "src"]])
def test_a_file_and_a_folder_for_one_target_are_both_named(tmp_path, order):
    write_files(tmp_path, "src/a", "two/a/b")
    text = failure(tmp_path, sources=order)
    assert text.startswith("two sources for 'a' in the image: ")
    assert "src/a" in text
    assert "two/a" in text


def test_a_file_where_the_settings_want_a_folder(tmp_path):
    write_files(tmp_path, "src/a", "web/b")
    text = failure(tmp_path, sources=["src", {"path": "web", "to": "a/b"}])
    assert text == (
        "two sources for 'a' in the image: src/a and a folder that the settings ask for\nExclude or rename one of them."
    )


def test_excluding_one_of_two_sources_resolves_the_clash(tmp_path):
    write_files(tmp_path, "src/a", "two/a", "two/b")
    assert listed(tmp_path, sources=["src", {"path": "two", "exclude": ["a"]}]) == ["a", "b"]


def test_a_target_that_is_too_deep(tmp_path):
    write_files(tmp_path, "src/a")
    assert "more than 255 deep" in failure(tmp_path, sources=[{"path": "src", "to": "/".join("d" * 600)}])
