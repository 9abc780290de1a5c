"""Files that a board would reject are errors, and files that may not be intended are warnings: in detail.

That every path has these checks is in test_every_path.py.
"""

import pytest

from hatch_romfs import RomfsError, build, build_all, open_image
from hatch_romfs.formats.image import image_content
from tests.builder.test_every_path import CRLF, MODEL, POINTER, PYPROJECT
from tests.projects import make_project

BASE = {"pyproject.toml": PYPROJECT, "src/app/__init__.py": b"VALUE = 42\n"}


def make(root, files):
    return make_project(root, BASE | files)


def warnings_of(root):
    return [warning for result in build_all(root).values() for warning in result.warnings]


def failure(root):
    with pytest.raises(RomfsError) as caught:
        build_all(root)
    return str(caught.value)


@pytest.mark.parametrize(
    ("alignment", "expected"),
    [(None, 16), (4, 16), (64, 64), ({"*.bin": 4}, 16), ({"*.tflite": 128}, 128), ({"*.tflite": 4}, 4)],
)
def test_the_alignment_of_models_in_a_plain_folder(alignment, expected, tmp_path):
    root = make_project(tmp_path / "plain", {f"d/{number}.tflite": MODEL + bytes(number) for number in range(40)})
    with open_image(build(root, overrides={"alignment": alignment} if alignment else None).path) as image:
        offsets = [image_content(image.file(f"d/{number}.tflite")).offset for number in range(40)]
    assert all(offset % expected == 0 for offset in offsets)
    assert not all(offset % (2 * expected) == 0 for offset in offsets)


def test_a_nested_image_is_checked_and_aligned_too(tmp_path):
    table = 'sources = ["src", { path = "in", to = "in.img", image = {} }]\n'
    root = make(tmp_path, {"pyproject.toml": PYPROJECT + table, "in/a.tflite": b"", "in/b.txt": b"\r\n"})
    assert failure(root).startswith("in/a.tflite is empty, but should be a model")
    (root / "in/a.tflite").write_bytes(MODEL)
    assert f"line breaks of Windows (CRLF) in in/b.txt: {CRLF}" in warnings_of(root)
    with open_image(root / "dist/app.romfs") as image:
        nested = image.file("in.img")
        start = image_content(nested).offset
        assert (start + nested.read().index(MODEL)) % 16 == 0


def test_all_texts_of_windows_are_in_one_warning(tmp_path):
    root = make(tmp_path, {f"src/{number}.txt": b"\r\n" for number in range(5)})
    listed = "src/0.txt, src/1.txt, src/2.txt and 2 more files"
    assert warnings_of(root) == [f"line breaks of Windows (CRLF) in {listed}: {CRLF}"]


def test_a_compiled_module_does_not_depend_on_line_breaks(tmp_path):
    one, two = (
        make(tmp_path / "one", {"src/a.py": b"x = '''\n'''\n"}),
        make(tmp_path / "two", {"src/a.py": b"x = '''\r\n'''\r\n"}),
    )
    assert warnings_of(one) == warnings_of(two) == []
    assert (one / "dist/app.romfs").read_bytes() == (two / "dist/app.romfs").read_bytes()


def test_every_problem_is_in_one_report(tmp_path):
    root = make(tmp_path, {"src/a.tflite": b"", "src/b.bin": POINTER})
    assert failure(root).splitlines()[:3] == [
        "src/a.tflite is empty, but should be a model",
        "src/b.bin is a Git LFS pointer, not the file itself",
        "Restore the file, or exclude it. Run `git lfs pull`.",
    ]


def test_linux_romfs_can_contain_modules_of_any_name_and_empty_models(tmp_path):
    root = make_project(tmp_path / "root", {"json.py": b"\r\n", "a.tflite": b"", "a.mpy": b"C"})
    assert build(root, overrides={"format": "linux"}).warnings == ()
    (root / "a.bin").write_bytes(POINTER)
    with pytest.raises(RomfsError, match="Git LFS pointer"):
        build(root, overrides={"format": "linux"})
