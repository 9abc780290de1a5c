"""Projects that name setuptools' own backend, or none: hatch-romfs in `requires` is enough."""

import os
import subprocess
import sys
import tarfile

import pytest

from tests import judges
from tests.commands import run
from tests.content import checked_build as build
from tests.plugins.support import sha256
from tests.plugins.test_setuptools import DYNAMIC, TABLES
from tests.projects import FILES, make_project

BACKENDS = {
    "none": "",
    "legacy": 'build-backend = "setuptools.build_meta:__legacy__"\n',
    "setuptools": 'build-backend = "setuptools.build_meta"\n',
    "ours, legacy": 'build-backend = "hatch_romfs.plugins.setuptools:__legacy__"\n',
    "wrapped": 'build-backend = "hatch_romfs.plugins.backend"\n',
}
FRONT_ENDS = {"build": [sys.executable, "-m", "build"], "uv": [judges.command("uv"), "build"]}

pytestmark = pytest.mark.usefixtures("wheelhouse")


def make(root, backend, tables=TABLES, package="hatch-romfs"):
    system = f'[build-system]\nrequires = ["setuptools", "{package}"]\n{BACKENDS[backend]}\n'
    wrapped = 'backend = "setuptools.build_meta"\n' if backend == "wrapped" else ""
    # setup.py of old projects imports modules beside it, which only __legacy__ allows.
    setup = "import helper\nimport setuptools\n\nsetuptools.setup()\n" if "none" in backend else ""
    files = {"setup.py": setup, "helper.py": "", "MANIFEST.in": "include helper.py\n"} if setup else {}
    return make_project(root, FILES | {"pyproject.toml": system + tables + wrapped} | files)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_image_is_beside_the_wheel_of_setuptools(backend, front_end, reference, tmp_path):
    root = make(tmp_path / "project", backend)
    run(*FRONT_ENDS[front_end], cwd=root)
    names = sorted(path.name for path in (root / "dist").iterdir() if path.name != ".gitignore")
    assert names == ["My.app.romfs", "my_app-1.2.3rc1-py3-none-any.whl", "my_app-1.2.3rc1.tar.gz"]
    assert sha256(root / "dist/My.app.romfs") == reference
    with tarfile.open(root / "dist/my_app-1.2.3rc1.tar.gz") as sdist:
        assert "my_app-1.2.3rc1/vendor/util.py" in sdist.getnames()


@pytest.mark.parametrize("backend", ["none", "setuptools"])
def test_a_failing_image_leaves_nothing(backend, tmp_path):
    root = make(tmp_path / "project", backend)
    (root / "vendor/util.py").write_text("def who(:\n")
    said = run(*FRONT_ENDS["uv"], "--wheel", cwd=root, status=2)
    assert "error: vendor/util.py:1: SyntaxError" in said
    assert [path.name for path in (root / "dist").iterdir() if path.name != ".gitignore"] == []


@pytest.mark.parametrize("command", ["bdist_wheel", "sdist"])
def test_setup_py_builds_the_image_and_completes_the_sdist(command, reference, tmp_path):
    root = make(tmp_path / "project", "none")
    run(sys.executable, "setup.py", command, cwd=root)
    if command == "bdist_wheel":
        assert sha256(root / "dist/My.app.romfs") == reference
        return
    with tarfile.open(next((root / "dist").glob("*.tar.gz"))) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert build(unpacked).sha256 == reference


def test_setup_py_can_build_an_sdist_only_with_all_sources(tmp_path):
    make_project(tmp_path / "other", {"x.py": b"x = 1\n"})
    root = make(tmp_path / "project", "none", tables=TABLES + 'sources = ["src", "../other"]\n')
    said = run(sys.executable, "setup.py", "sdist", cwd=root, status=2)
    assert "error: tool.romfs: ../other is outside the project, so an sdist cannot contain it" in said
    assert not list((root / "dist").iterdir())


def test_projects_that_do_not_ask_for_it_get_no_image(tmp_path):
    root = make(tmp_path / "project", "setuptools", package="packaging")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", cwd=root)
    assert [path.suffix for path in (root / "dist").iterdir()] == [".whl"]


@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
@pytest.mark.parametrize("way", ["build", "bdist_romfs", "romfs-image"])
def test_setup_py_may_print_in_any_encoding(way, environment, tmp_path):
    table = 'filename = "größe-{version}.romfs"\n'
    root = make(tmp_path / "project", "none", tables=DYNAMIC.replace("filename", "#") + table)
    prints = 'import sys\nsys.stdout.buffer.write(b"gr\\xfc\\xdfe \\xff\\n")\nsys.stderr.buffer.write(b"\\xe9\\n")\n'
    setup = f'{prints}import setuptools\n\nsetuptools.setup(version="7.8")\n'
    (root / "setup.py").write_text(setup)
    command = {
        "build": [sys.executable, "-m", "build", "--wheel", "--no-isolation"],
        "bdist_romfs": [sys.executable, "setup.py", "bdist_romfs"],
        "romfs-image": [judges.command("romfs-image"), "build"],
    }[way]
    done = subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "dist/größe-7.8.romfs").exists()
    (root / "setup.py").write_text(prints + 'raise SystemExit("kein Rad, größer")\n')
    done = subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, check=False)
    assert done.returncode in (1, 2)
    assert b"kein Rad" in done.stdout + done.stderr
