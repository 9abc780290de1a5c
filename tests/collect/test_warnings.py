"""Warnings about images that can be built."""

import pytest

from hatch_romfs.collect.sources import collect_folder
from hatch_romfs.settings.model import Settings
from tests.collect.support import collected, write_files

NOT_RUN = "at the root of an image does not run at boot: boards look for it in their writable filesystem"
ALIKE = "differ only in case: some computers cannot store both"
EMPTY = "the image is empty: no file in the sources was included"


def test_nothing_to_say(tmp_path):
    write_files(
        tmp_path, "src/app/main.py", "src/app/boot.py", "src/main.txt", "src/boot.py/x", "src/a/B", "src/b/B", "src/b/A"
    )
    assert collected(tmp_path).warnings == ()


@pytest.mark.parametrize("name", ["main.py", "boot.py", "main.mpy", "boot.mpy"])
def test_a_main_program_in_an_image_is_a_warning(tmp_path, name):
    write_files(tmp_path, f"src/{name}")
    assert collected(tmp_path).warnings == (f"{name} {NOT_RUN}",)
    assert collect_folder(Settings(), tmp_path / "src").warnings == (f"{name} {NOT_RUN}",)


def test_both_programs(tmp_path):
    write_files(tmp_path, "src/main.py", "src/boot.py")
    assert collected(tmp_path).warnings == (f"boot.py {NOT_RUN}", f"main.py {NOT_RUN}")


@pytest.mark.parametrize("paths", [["src/"], ["src/a.pyc", "src/.git/x"]])
def test_an_empty_image(tmp_path, paths):
    write_files(tmp_path, *paths)
    assert collected(tmp_path).warnings == (EMPTY,)
    assert collect_folder(Settings(), tmp_path / "src").warnings == (EMPTY,)


def test_names_that_differ_only_by_case(tmp_path):
    # from several sources, because some computers cannot hold both
    write_files(tmp_path, "one/a.txt", "one/D/Ä", "two/A.txt", "two/D/ä", "three/A.TXT", "three/b.txt", "three/d/x")
    expected = (f"A.TXT and A.txt and a.txt {ALIKE}", f"D and d {ALIKE}", f"D/Ä and D/ä {ALIKE}")
    assert collected(tmp_path, sources=["one", "two", "three"]).warnings == expected
    assert collected(tmp_path, sources=["three", "two", "one"]).warnings == expected


def test_files_of_one_name_in_two_folders_are_not_alike(tmp_path):
    write_files(tmp_path, "one/x/a", "one/y/A", "one/A")
    assert collected(tmp_path, sources=["one"]).warnings == ()
