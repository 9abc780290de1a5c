"""Every check on every path: what a board would reject is an error, what may not be intended is a warning.

The paths are those of tests/front_ends.py. Real front ends take seconds, so they get a telling selection of checks.
"""

import tempfile

import pytest

from hatch_romfs import open_image
from hatch_romfs.formats.image import image_content
from tests.content import check_image
from tests.front_ends import IN_PROCESS, OWN_STATUS, SUBPROCESS, WAYS, build_by, setuptools
from tests.projects import make_project

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
BASE = {
    "pyproject.toml": PYPROJECT,
    "setup.py": "import setuptools\n\nsetuptools.setup()\n",
    "src/app/__init__.py": b"VALUE = 42\n",
    "src/app/data.bin": bytes(9),
}
OLD = b"\xd2\xcd\x31\x00"
"""The image of nobody, which an earlier build has left."""
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n".encode()
MODEL = b"\x18\0\0\0TFL3" * 5
ENCODING = "Save it as UTF-8, or declare its encoding on line 1 or 2, such as `# -*- coding: latin-1 -*-`."


def table(text):
    return {"pyproject.toml": f"{PYPROJECT}{text}\n"}


REJECTED = {
    "CircuitPython": ({"src/app/a.mpy": b"C\x06\0\x1f"}, 1, "src/app/a.mpy is compiled for CircuitPython, not for"),
    "an old .mpy": ({"src/app/a.mpy": b"M\x05\0\x1f"}, 1, "src/app/a.mpy is .mpy version 5; boards load 6"),
    "another architecture": (
        {"src/app/a.mpy": b"M\x06\x2b\x1f", **table('mpy.arch = "armv7em"')},
        1,
        "src/app/a.mpy is xtensawin code, and tool.romfs.mpy.arch is armv7em",
    ),
    "Git LFS": (
        {"src/app/net.bin": POINTER},
        1,
        "src/app/net.bin is a Git LFS pointer, not the file itself\nRun `git lfs pull`.",
    ),
    "an empty model": ({"src/app/net.tflite": b""}, 1, "src/app/net.tflite is empty, but should be a model"),
    "Latin-1": (
        {"src/app/a.py": b"x = '\xe9'\n"},
        1,
        f"src/app/a.py:1: the text is not valid UTF-8: byte 0xe9\n{ENCODING}",
    ),
    "an unknown encoding": ({"src/app/a.py": b"# coding: none\n"}, 1, "src/app/a.py:1: unknown encoding 'none'"),
    "a syntax error": ({"src/app/a.py": b"def f(:\n"}, 1, "src/app/a.py:1: SyntaxError: invalid syntax"),
    "two sources": ({"src/app/data.mpy": b"M\x06\0\x1f", "src/app/data.py": b""}, 1, "two sources for 'app/data.mpy'"),
    "a missing source": (table('sources = ["src", "more"]'), 2, "tool.romfs.sources[1]: more does not exist"),
    "a missing manifest": (table('manifest = "m.py"'), 1, "m.py: No such file or directory"),
    "a manifest's mistake": ({**table('manifest = "m.py"'), "m.py": "modul('a')"}, 1, "m.py:1:1: manifests have no"),
    "no lock": (table('dependencies = ["aioble"]'), 1, "romfs.lock does not exist\nRun 'romfs-manifest lock'"),
    "too large": (table("size = 100"), 1, "more than the 100 of tool.romfs.size; the largest files:\n"),
    "a wrong setting": (table("alignment = 3"), 2, "tool.romfs.alignment: must be a power of two from 1 to 1048576"),
    "an unknown setting": (table("shara = 1"), 2, "tool.romfs.shara: unknown key; did you mean 'share'?"),
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
        {"src/b.py": b"x = 1\r\n", **table("mpy = false")},
        f"line breaks of Windows (CRLF) in src/b.py: {CRLF}",
    ),
}
PRIVATE = {"src/.env": b"TOKEN=1\n", "src/app/.git/config": b"", "src/._app.py": b"\0\5\x16\7", "src/x.swp": b"1"}
TELLING = ("Latin-1", "a wrong setting", "CRLF")
"""Checks that real front ends get: an error of the content, one of the settings, and a warning."""


def on_every_path(checks):
    cases = [(way, what) for what in checks for way in WAYS if what in TELLING or way not in SUBPROCESS]
    return pytest.mark.parametrize(("way", "what"), cases, ids=[f"{what}-{way}" for way, what in cases])


in_every_process = pytest.mark.parametrize("way", IN_PROCESS)


@pytest.fixture(scope="module", autouse=True)
def _end_setuptools():
    yield
    setuptools.close()


@pytest.fixture
def _front_end(request, way):
    """Have what real front ends install."""
    if way in SUBPROCESS:
        request.getfixturevalue("wheelhouse")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def make(folder, files):
    return make_project(folder / "app", BASE | files)


def leftovers(root):
    return [path.name for path in root.rglob("*") if ".romfs" in path.name or path.name.startswith((".tmp", "tmp"))]


@on_every_path(REJECTED)
@pytest.mark.usefixtures("_front_end")
def test_what_a_board_would_reject_is_an_error(way, what, tmp_path, temporary):
    files, status, message = REJECTED[what]
    root = make(tmp_path, {"dist/app.romfs": OLD} | files)
    done = build_by(way, root)
    assert message in done.said
    assert done.status == OWN_STATUS.get(way, status)
    assert "Traceback" not in done.said.split(message)[0]
    assert (root / "dist/app.romfs").read_bytes() == OLD
    assert leftovers(root) == ["app.romfs"]
    assert not list(root.rglob("*.whl"))
    assert list(temporary.iterdir()) == []


@on_every_path(SUSPICIOUS)
@pytest.mark.usefixtures("_front_end")
def test_what_may_not_be_intended_is_a_warning(way, what, tmp_path, temporary):
    files, message = SUSPICIOUS[what]
    root = make(tmp_path, files)
    done = build_by(way, root)
    assert (done.status, done.said.count(f"warning: {message}\n")) == (0, 1), done.said
    check_image(done.image, root, imports=what != "native code")
    assert list(temporary.iterdir()) == []


@in_every_process
def test_private_files_stay_out(way, tmp_path):
    root = make(tmp_path, PRIVATE)
    done = build_by(way, root)
    assert done.status == 0, done.said
    check_image(done.image, root, excluded=[path.removeprefix("src/") for path in PRIVATE])


@in_every_process
def test_modules_in_other_encodings_import_as_in_cpython(way, tmp_path):
    files = {
        "src/app/mark.py": b"\xef\xbb\xbfNAME = 'gr\xc3\xbc\xc3\x9fe'\n",
        "src/app/latin.py": b"# coding: latin-1\nNAME = 'gr\xfc\xdfe'\n",
        "src/app/test.py": "from app import mark, latin\nassert mark.NAME == latin.NAME == 'grüße'\n".encode(),
    }
    root = make(tmp_path, files)
    done = build_by(way, root)
    assert done.status == 0
    warnings = [line for line in done.said.splitlines() if line.startswith("warning: ")]
    assert [line for line in warnings if "byte-compiling" not in line] == []  # which is setuptools' own
    check_image(done.image, root)  # which imports app.test


@in_every_process
def test_models_are_aligned_without_a_board(way, tmp_path):
    root = make(tmp_path, {"src/a": b"1", "src/net.tflite": MODEL, "src/two.KMODEL": MODEL + b"2", "src/z": b"2"})
    done = build_by(way, root)
    check_image(done.image, root)
    with open_image(done.image) as image:
        for name in ("net.tflite", "two.KMODEL"):
            assert image_content(image.file(name)).offset % 16 == 0
