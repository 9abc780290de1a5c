"""Files that a board would reject are errors, and files that may not be intended are warnings, on every path."""

import contextlib
import io
import subprocess
import sys

import pytest
from hatchling.builders.wheel import WheelBuilder

from hatch_romfs import build, build_all, open_image
from hatch_romfs.cli.image import command
from hatch_romfs.errors import RomfsError
from hatch_romfs.formats.image import image_content
from hatch_romfs.images.run import RunResult, run_image
from hatch_romfs.plugins.hatch import RomfsBuilder
from tests import judges
from tests.commands import run
from tests.projects import make_project
from tests.trees import contents

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "app"
version = "1.0"

[tool.hatch.build.hooks.romfs]

[tool.hatch.build.targets.wheel]
packages = ["src/app"]

[tool.setuptools.packages.find]
where = ["src"]

[tool.romfs]
"""
BASE = {"pyproject.toml": PYPROJECT, "src/app/__init__.py": b"VALUE = 42\n", "src/app/data.bin": bytes(9)}
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n".encode()
MODEL = b"\x18\0\0\0TFL3" * 5
ENCODING = "Save it as UTF-8, or declare its encoding on line 1 or 2, such as `# -*- coding: latin-1 -*-`."
REJECTED = {
    "CircuitPython": (
        {"src/app/a.mpy": b"C\x06\0\x1f"},
        "src/app/a.mpy is compiled for CircuitPython, not for MicroPython",
    ),
    "an old .mpy": ({"src/app/a.mpy": b"M\x05\0\x1f"}, "src/app/a.mpy is .mpy version 5; boards load 6"),
    "another architecture": (
        {"src/app/a.mpy": b"M\x06\x2b\x1f", "pyproject.toml": f'{PYPROJECT}mpy.arch = "armv7em"\n'},
        "src/app/a.mpy is xtensawin code, and tool.romfs.mpy.arch is armv7em",
    ),
    "Git LFS": (
        {"src/app/net.bin": POINTER},
        "src/app/net.bin is a Git LFS pointer, not the file itself\nRun `git lfs pull`.",
    ),
    "an empty model": ({"src/app/net.tflite": b""}, "src/app/net.tflite is empty, but should be a model"),
    "Latin-1": (
        {"src/app/a.py": b"x = '\xe9'\n"},
        f"src/app/a.py:1: the text is not valid UTF-8: byte 0xe9\n{ENCODING}",
    ),
}
CRLF = "the image differs where Git checks out LF; put `* text=auto eol=lf` into .gitattributes"
SUSPICIOUS = {
    "native code": (
        {"src/app/a.mpy": b"M\x06\x2b\x1f"},
        "app/a.mpy is xtensawin code: other boards cannot load it; set tool.romfs.mpy.arch to check it",
    ),
    "a built-in module": (
        {"src/json.py": b""},
        "json.py replaces the built-in module 'json' for everything on the board; rename it if that is not intended",
    ),
    "one that firmware prefers": (
        {"src/math/__init__.py": b""},
        "math is never imported: boards import their built-in module 'math'; rename it",
    ),
    "Unicode normalization": (
        {"src/\u00e9.txt": b"1", "src/e\u0301.txt": b"2"},
        r"e\u0301.txt and \xe9.txt differ only in Unicode normalization: some computers cannot store both",
    ),
    "letter case": (
        {"src/a.txt": b"1", "src/A.txt": b"2"},
        "A.txt and a.txt differ only in case: some computers cannot store both",
    ),
    "CRLF": ({"src/a.txt": b"1\r\n"}, f"line breaks of Windows (CRLF) in src/a.txt: {CRLF}"),
    "CRLF in a module that stays a .py": (
        {"src/b.py": b"x = 1\r\n", "pyproject.toml": f"{PYPROJECT}mpy = false\n"},
        f"line breaks of Windows (CRLF) in src/b.py: {CRLF}",
    ),
}


def by_api(root):
    return "".join(f"warning: {warning}\n" for result in build_all(root).values() for warning in result.warnings)


def by_romfs_image(root):
    command(["build", str(root)])
    return ""


def by_hatch_target(root):
    list(RomfsBuilder(str(root)).build(directory=str(root / "dist")))
    return ""


def by_hatch_hook(root):
    list(WheelBuilder(str(root)).build(directory=str(root / "dist")))
    return ""


def by_setuptools(root):
    code = "from hatch_romfs.plugins import setuptools as backend; backend.build_wheel('dist')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stderr


PATHS = [by_api, by_romfs_image, by_hatch_target, by_hatch_hook, by_setuptools]
every_path = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)


def output(path, root):
    """Build a project, and return what was printed, with escapes as they are on a terminal."""
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
        text = path(root)
    return text + printed.getvalue()


def failure(path, root):
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), pytest.raises((RomfsError, SystemExit)) as caught:
        path(root)
    return f"{caught.value}\n{printed.getvalue()}"


def make(root, files):
    return make_project(root, BASE | files)


def check(root, files):
    """Check that the image contains what the sources say, and that MicroPython imports its package."""
    image = root / "dist/app.romfs"
    expected = {path.removeprefix("src/"): data for path, data in (BASE | files).items() if path.startswith("src/")}
    with open_image(image) as opened:
        found = {path: data for path, data in contents(opened.root).items() if data is not None}
        size = opened.size
    compiled = {path for path in expected if path not in found}
    assert set(found) == {f"{path.removesuffix('.py')}.mpy" if path in compiled else path for path in expected}
    assert all(path.endswith(".py") for path in compiled)
    assert all(found[path] == data for path, data in expected.items() if path not in compiled)
    judges.micropython("")  # or skip the rest
    assert run_image(image, size, "import app; print(app.VALUE)", capture=True) == RunResult(0, "42\n")


@every_path
@pytest.mark.parametrize("what", REJECTED)
def test_what_a_board_would_reject_is_an_error(what, path, tmp_path):
    files, message = REJECTED[what]
    root = make(tmp_path, files)
    assert message in failure(path, root)
    assert not list(tmp_path.rglob("*.romfs"))


@every_path
@pytest.mark.parametrize("what", SUSPICIOUS)
def test_what_may_not_be_intended_is_a_warning(what, path, tmp_path):
    files, message = SUSPICIOUS[what]
    root = make(tmp_path, files)
    assert output(path, root).count(f"warning: {message}\n") == 1
    check(root, files)


@pytest.mark.parametrize("what", ["Git LFS", "CRLF"])
def test_hatch_as_users_run_it(what, tmp_path, wheelhouse):
    files, message = (REJECTED | SUSPICIOUS)[what]
    root = make(tmp_path, files)
    assert message in run(judges.command("hatch"), "build", cwd=root, status=what in REJECTED)
    if what in SUSPICIOUS:
        check(root, files)


@every_path
def test_modules_in_other_encodings_import_as_in_cpython(path, tmp_path):
    files = {
        "src/app/mark.py": b"\xef\xbb\xbfNAME = 'gr\xc3\xbc\xc3\x9fe'\n",
        "src/app/latin.py": b"# coding: latin-1\nNAME = 'gr\xfc\xdfe'\n",
        "src/app/kept.py": b"# coding: latin-1\nNAME = 'gr\xfc\xdfe'\n",
        "pyproject.toml": f'{PYPROJECT}mpy.exclude = ["kept.py"]\n',
    }
    root = make(tmp_path, files)
    warnings = [line for line in output(path, root).splitlines() if line.startswith("warning: ")]
    assert [line for line in warnings if "byte-compiling" not in line] == []  # which is setuptools' own
    image = root / "dist/app.romfs"
    judges.micropython("")
    code = "from app import mark, latin, kept; print(mark.NAME, latin.NAME, kept.NAME)"
    assert run_image(image, image.stat().st_size, code, capture=True) == RunResult(0, "grüße grüße grüße\n")


@every_path
def test_models_are_aligned_without_a_board(path, tmp_path):
    files = {"src/a": b"1", "src/net.tflite": MODEL, "src/two.KMODEL": MODEL + b"2", "src/z": b"2"}
    root = make(tmp_path, files)
    output(path, root)
    with open_image(root / "dist/app.romfs") as image:
        for name in ("net.tflite", "two.KMODEL"):
            assert image_content(image.file(name)).offset % 16 == 0


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
    assert failure(by_api, root).startswith("in/a.tflite is empty, but should be a model")
    (root / "in/a.tflite").write_bytes(MODEL)
    assert f"line breaks of Windows (CRLF) in in/b.txt: {CRLF}" in output(by_api, root)
    with open_image(root / "dist/app.romfs") as image:
        nested = image.file("in.img")
        start = image_content(nested).offset
        assert (start + nested.read().index(MODEL)) % 16 == 0


def test_all_texts_of_windows_are_in_one_warning(tmp_path):
    root = make(tmp_path, {f"src/{number}.txt": b"\r\n" for number in range(5)})
    listed = "src/0.txt, src/1.txt, src/2.txt and 2 more files"
    assert output(by_api, root) == f"warning: line breaks of Windows (CRLF) in {listed}: {CRLF}\n"


def test_a_compiled_module_does_not_depend_on_line_breaks(tmp_path):
    one, two = (
        make(tmp_path / "one", {"src/a.py": b"x = '''\n'''\n"}),
        make(tmp_path / "two", {"src/a.py": b"x = '''\r\n'''\r\n"}),
    )
    assert output(by_api, one) == output(by_api, two) == ""
    assert (one / "dist/app.romfs").read_bytes() == (two / "dist/app.romfs").read_bytes()


def test_every_problem_is_in_one_report(tmp_path):
    root = make(tmp_path, {"src/a.tflite": b"", "src/b.bin": POINTER})
    assert failure(by_api, root).splitlines()[:3] == [
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
