"""Projects of other build backends: the backend that wraps them builds the same image beside their own wheels."""

import shutil
import sys
import tarfile
import zipfile

import pytest

from tests import judges
from tests.commands import run
from tests.content import checked_build as build
from tests.plugins.support import sha256
from tests.projects import FILES, make_project

BACKENDS = {
    "flit_core.buildapi": ("flit_core", ""),
    "poetry.core.masonry.api": ("poetry-core", '[tool.poetry]\npackages = [{ include = "app", from = "src" }]\n'),
    "pdm.backend": ("pdm-backend", '[tool.pdm.build]\nincludes = ["src/app"]\npackage-dir = "src"\n'),
    "uv_build": ("uv_build", '[tool.uv.build-backend]\nmodule-name = "app"\n'),
    "setuptools.build_meta": ("setuptools", '[tool.setuptools.packages.find]\nwhere = ["src"]\n'),
}
HEAD = """\
[build-system]
requires = ["{package}", "hatch-romfs"]
build-backend = "hatch_romfs.plugins.backend"

[project]
name = "app"
version = "1.2.3"
description = "A sample."
"""

pytestmark = pytest.mark.usefixtures("wheelhouse")


def make(root, backend, extra="", table=""):
    package, tables = BACKENDS[backend]
    romfs = f'[tool.romfs]\nbackend = "{backend}"\nlib = ["vendor"]\n{table}'
    text = f"{HEAD.format(package=package)}{extra}\n{tables}\n{romfs}"
    return make_project(root, FILES | {"pyproject.toml": text})


def backend_hook(root, call, status=0):
    code = f"from hatch_romfs.plugins import backend; print(backend.{call})"
    return run(sys.executable, "-B", "-c", code, cwd=root, status=status)


@pytest.mark.parametrize("backend", BACKENDS)
def test_build_puts_the_image_beside_the_wheel_of_every_backend(backend, tmp_path):
    root = make(tmp_path / "app", backend, table='embed = true\ndirectory = "images"\n')
    run(sys.executable, "-m", "build", cwd=root)  # the wheel is built from the sdist, in an isolated environment
    expected = build(make(tmp_path / "alone/app", backend)).sha256
    assert sha256(root / "images/app.romfs") == expected
    assert sorted(path.suffix for path in (root / "dist").iterdir()) == [".gz", ".whl"]
    (wheel,) = (root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read("app/app.romfs") == (root / "images/app.romfs").read_bytes()
        assert "app/greeting.py" in opened.namelist()
    with tarfile.open(next((root / "dist").glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    assert len(names) == len(set(names))
    assert {"app-1.2.3/vendor/util.py", "app-1.2.3/src/app/table.bin"} <= set(names)
    run(judges.command("twine"), "check", "--strict", *(root / "dist").iterdir(), cwd=root, status=1)  # no readme
    said = run(judges.command("twine"), "check", *(root / "dist").iterdir(), cwd=root)
    assert "FAILED" not in said


def test_pip_accepts_the_wheel_with_the_image(tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi", table="embed = true\n")
    backend_hook(root, "build_wheel('dist')")
    target = tmp_path / "target"
    (wheel,) = (root / "dist").glob("*.whl")
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel, cwd=tmp_path)
    assert sha256(target / "app/app.romfs") == sha256(root / "dist/app.romfs")


def test_an_editable_install_builds_no_image(tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi")
    (root / "out").mkdir()
    backend_hook(root, "build_editable('out')")
    assert [path.suffix for path in (root / "out").iterdir()] == [".whl"]


def test_hooks_that_the_other_backend_does_not_have_are_missing(tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi")
    said = backend_hook(root, "get_requires_for_build_wheel(), hasattr(backend, 'no_such_hook')")
    assert said.strip() == "[] False"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('backend = "flit_core.buildapi"\n', "", "tool.romfs.backend: is missing: "),
        ("flit_core.buildapi", "no_such_backend", "tool.romfs.backend: cannot import no_such_backend: No module"),
        ("flit_core.buildapi", "flit_core.buildapi:nothing", "tool.romfs.backend: cannot import flit_core.buildapi:n"),
    ],
)
def test_a_backend_that_cannot_be_called_is_one_message(before, after, message, tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi")
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace(before, after))
    said = backend_hook(root, "build_wheel('dist')", status=2)
    assert f"error: {message}" in said
    assert "Traceback" not in said
    assert not list((root / "dist").iterdir())


@pytest.mark.parametrize("failing", ["wheel", "image"])
def test_there_is_neither_a_wheel_nor_an_image_if_one_fails(failing, tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi", table="embed = true\n")
    if failing == "wheel":
        shutil.rmtree(root / "src/app")
    else:
        (root / "vendor/util.py").write_text("def who(:\n")
    backend_hook(root, "build_wheel('dist')", status=1)
    assert not list((root / "dist").iterdir())


def test_no_image_stays_if_a_later_image_fails(tmp_path):
    root = make(tmp_path / "app", "flit_core.buildapi", table='images = { a = {}, b = { sources = ["bad"] } }\n')
    make_project(root, {"bad/x.py": "def x(:\n"})
    said = backend_hook(root, "build_wheel('dist')", status=1)
    assert "bad/x.py:1: SyntaxError" in said
    assert not list((root / "dist").iterdir())
