"""A project built by setuptools, in every way: the image is the same as with other front ends."""

import os
import sys
import tarfile

import pytest

from hatch_romfs import SettingsError, open_image
from tests import judges
from tests.commands import run
from tests.content import checked_build as build
from tests.plugins.support import WRONG, sha256
from tests.projects import FILES, PYPROJECT, make_project

BACKEND = """\
[build-system]
requires = ["setuptools", "hatch-romfs"]
build-backend = "hatch_romfs.plugins.setuptools"
"""
ALONE = '[build-system]\nrequires = ["setuptools"]\n'
TABLES = PYPROJECT[PYPROJECT.index("[project]") :].replace("[tool.hatch.build.hooks.romfs]\n\n", "")
TABLES = TABLES.replace(
    '[tool.hatch.build.targets.wheel]\npackages = ["src/app"]', '[tool.setuptools.packages.find]\nwhere = ["src"]'
)
DYNAMIC = TABLES.replace('version = "1.2.3-rc1"', 'dynamic = ["version"]') + 'filename = "{name}-{version}.romfs"\n'
PIP_WHEEL = ["python", "-m", "pip", "wheel", "--no-deps", "-w", "dist", "."]
EPOCH = "1700000000"
OWN = {"build", "dist", "My.app.egg-info", "My_app.egg-info"}
"""What setuptools leaves in a project, its older releases the last."""


pytestmark = pytest.mark.usefixtures("wheelhouse")


@pytest.fixture
def project(tmp_path):
    return make(tmp_path / "project")


def make(root, tables=TABLES, backend=BACKEND):
    return make_project(root, FILES | {"pyproject.toml": f"{backend}\n{tables}".encode()})


@pytest.fixture(scope="session")
def plain_python(tmp_path_factory, wheelhouse):
    """The Python of an environment with this package, and without setuptools."""
    return _environment(tmp_path_factory, "hatch-romfs")


@pytest.fixture(scope="session")
def python(tmp_path_factory, wheelhouse):
    """The Python of an environment with this package and setuptools."""
    return _environment(tmp_path_factory, "hatch-romfs", "setuptools")


def _environment(tmp_path_factory, *packages):
    folder = tmp_path_factory.mktemp("environment")
    uv = judges.command("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, folder, cwd=folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(uv, "pip", "install", "--quiet", "--python", python, *packages, cwd=folder)
    return python


def hook(python, name, root, status=0):
    """Run a hook of the build backend as front ends do, with dist for its folder."""
    code = f"from hatch_romfs.plugins import setuptools as backend; print(backend.{name}('dist'))"
    return run(python, "-I", "-B", "-c", code, cwd=root, status=status)


def left(root):
    """Return what lies in a project, or in its src, and is not its own."""
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return {path.removeprefix("src/").split("/")[0] for path in found - set(FILES)}


@pytest.fixture(scope="session")
def wheel_alone(tmp_path_factory):
    """The wheel that setuptools makes without this package, at a time that is given."""
    root = make(tmp_path_factory.mktemp("alone"), backend=ALONE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        run(judges.command("uv"), "build", "--wheel", cwd=root)
    (wheel,) = root.glob("dist/*.whl")
    return wheel


@pytest.mark.parametrize("command", [["python", "-m", "build"], ["uv", "build"], PIP_WHEEL], ids=" ".join)
def test_front_ends_build_one_image_and_setuptools_own_wheel(command, project, reference, wheel_alone, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    name, *rest = command
    run(sys.executable if name == "python" else judges.command(name), *rest, cwd=project)
    assert sha256(project / "dist" / wheel_alone.name) == sha256(wheel_alone)
    # pip builds in a folder of its own, and takes nothing from it but the wheel.
    images = [sha256(path) for path in project.glob("dist/*.romfs")]
    assert images == ([] if command is PIP_WHEEL else [reference])
    assert left(project) <= OWN
    assert not list((project / "dist").glob(".tmp-*"))


def test_the_image_is_that_of_the_command(project, reference, python):
    hook(python, "build_wheel", project)
    image = project / "dist/My.app.romfs"
    beside = sha256(image)
    image.unlink()
    run(judges.command("romfs-image"), "build", cwd=project)
    assert sha256(image) == beside == reference


def test_a_failed_wheel_leaves_no_image(project, python):
    (project / "setup.py").write_text("raise SystemExit('no wheel today')\n")
    assert "no wheel today" in hook(python, "build_wheel", project, status=1)
    assert not list((project / "dist").iterdir())


def test_an_sdist_has_the_files_of_setuptools_and_those_of_the_image(project, python, tmp_path):
    alone = make(tmp_path / "alone", backend=ALONE)
    (project / "src/app/empty").mkdir()
    for root in (alone, project):
        (root / "MANIFEST.in").write_text("prune vendor\nglobal-exclude *.bin\n")
    run(python, "-c", "from setuptools.build_meta import build_sdist as build; build('dist')", cwd=alone)
    hook(python, "build_sdist", project)
    (made,) = (project / "dist").iterdir()
    before, after = (names(next((root / "dist").iterdir())) for root in (alone, project))
    assert len(after) == len(set(after))
    assert set(after) - set(before) == {
        f"my_app-1.2.3rc1/{path}"
        for path in (
            "src/app/empty", "src/app/table.bin", "src/app/copy of table.bin", "src/ünï cödé", "src/ünï cödé/text.txt",
            "vendor", "vendor/util.py",
        )
    }  # fmt: skip
    assert set(before) < set(after)
    assert build(unpacked(made, tmp_path)).sha256 == build(project).sha256


def test_an_sdist_has_manifests_and_the_lock(project, python, tmp_path):
    text = (project / "pyproject.toml").read_text(encoding="utf-8") + 'manifest = "boards/manifest.py"\n'
    make_project(
        project,
        {
            "pyproject.toml": text.encode(),
            "boards/manifest.py": b'include("../more")\n',
            "more/manifest.py": b'module("extra.py")\n',
            "more/extra.py": b"x = 1\n",
            "romfs.lock": b"# kept\n",
        },
    )
    hook(python, "build_sdist", project)
    (archive,) = (project / "dist").glob("*.tar.gz")
    root = unpacked(archive, tmp_path)
    assert (root / "romfs.lock").read_bytes() == b"# kept\n"
    assert build(root).sha256 == build(project).sha256


def names(archive):
    with tarfile.open(archive) as opened:
        return opened.getnames()


def unpacked(archive, folder):
    """Unpack an sdist as pip does."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    return root


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such modes nor, for all, such links")
def test_an_sdist_keeps_what_a_linux_image_does(project, python, tmp_path):
    tables = TABLES.replace('lib = ["vendor"]', 'format = "linux"\nsources = ["vendor"]\nshare = false')
    make(project, tables)
    (project / "vendor/run").write_bytes(b"#!/bin/sh\n")
    (project / "vendor/run").chmod(0o755)
    (project / "vendor/name").symlink_to("run")
    (project / "vendor/other").hardlink_to(project / "vendor/util.py")
    hook(python, "build_sdist", project)
    (made,) = (project / "dist").iterdir()
    assert build(unpacked(made, tmp_path)).sha256 == build(project).sha256
    os.mkfifo(project / "vendor/fifo")
    said = hook(python, "build_sdist", project, status=1)
    assert "error: vendor/fifo is a fifo, which an sdist cannot contain" in said
    assert [path.name for path in (project / "dist").iterdir()] == [made.name, "My.app.romfs"]


def test_the_whole_project_is_a_source(project, python, tmp_path):
    make(project, TABLES.replace('lib = ["vendor"]', 'sources = ["."]'))
    hook(python, "build_sdist", project)
    (made,) = (project / "dist").iterdir()
    assert build(unpacked(made, tmp_path)).sha256 == build(project).sha256


def test_an_sdist_cannot_contain_sources_outside_the_project(project, python):
    (project / "pyproject.toml").write_text(f'{BACKEND}{TABLES}sources = ["src/../../project/src"]\n')
    said = hook(python, "build_sdist", project, status=2)
    assert "error: tool.romfs: src/../../project/src is outside the project" in said
    assert not list((project / "dist").iterdir())
    hook(python, "build_wheel", project)


def test_an_editable_install_is_that_of_setuptools(project, plain_python):
    run(judges.command("uv"), "pip", "install", "--quiet", "--python", plain_python, "-e", project, cwd=project)
    code = "from importlib.util import find_spec; print(find_spec('app').origin)"
    found = run(plain_python, "-c", code, cwd=project.parent)
    assert found.strip() == str(project / "src/app/__init__.py")
    assert left(project) <= OWN - {"dist"}
    assert not list(project.rglob("*.romfs"))


def test_every_other_hook_is_that_of_setuptools(project, python):
    code = """if True:
        import sys
        from setuptools import build_meta
        from hatch_romfs.plugins import setuptools as backend
        changed = [name for name in build_meta.__all__ if getattr(backend, name) is not getattr(build_meta, name)]
        backend.build_editable('out')
        print(sorted(changed), 'hatch_romfs.builder.build' in sys.modules)
    """
    assert "[] False" in run(python, "-c", code, cwd=project).splitlines()


@pytest.mark.parametrize("options", [[], ["--dist-dir", "out"]], ids=["dist", "out"])
def test_setup_py_has_a_command(options, project, reference, python):
    (project / "setup.py").write_text("from setuptools import setup\n\nsetup()\n")
    run(python, "-B", "setup.py", "bdist_romfs", *options, cwd=project)
    folder = options[-1] if options else "dist"
    assert sha256(project / folder / "My.app.romfs") == reference
    assert left(project) == {"setup.py", folder}


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"pyproject.toml": '[tool.setuptools.dynamic]\nversion = { attr = "app.__version__" }\n'}, "4.5.6rc1"),
        ({"setup.py": 'import setuptools\n\nprint("hello")\nsetuptools.setup(version="7.8-1")\n'}, "7.8.post1"),
    ],
    ids=["attr", "setup.py"],
)
def test_a_dynamic_version_is_the_same_everywhere(files, version, python, tmp_path):
    hashes = set()
    for name in ("hook", "setup.py", "alone"):
        root = make(tmp_path / name, DYNAMIC)
        (root / "src/app/__init__.py").write_text('__version__ = "4.5.6-rc1"\n')
        (root / "setup.py").write_text("import setuptools\n\nsetuptools.setup()\n")
        for path, text in files.items():
            (root / path).write_text((BACKEND + DYNAMIC + text) if path == "pyproject.toml" else text)
        if name == "hook":
            hook(python, "build_wheel", root)
        elif name == "setup.py":
            run(python, "-B", "setup.py", "bdist_romfs", cwd=root)
        else:
            build(root)
            assert left(root) == {"setup.py", "dist"}
        with open_image(root / f"dist/My.app-{version}.romfs") as image:
            assert image.version == version
            hashes.add(image.sha256())
    assert len(hashes) == 1


def test_a_dynamic_version_that_setuptools_cannot_tell(project, plain_python):
    make(project, DYNAMIC + '[tool.setuptools.dynamic]\nversion = { attr = "app.missing" }\n')
    with pytest.raises(
        SettingsError, match="the build backend cannot compute it: ModuleNotFoundError: No module named 'util'"
    ):
        build(project)
    build_it = "from hatch_romfs.cli.image import main; import sys; sys.argv[1:] = ['build']; main()"
    said = run(plain_python, "-c", build_it, cwd=project, status=2)
    assert said.startswith("error: project.version is dynamic, and the build backend cannot compute it: ")


@pytest.mark.parametrize("path", WRONG)
@pytest.mark.parametrize("way", ["build_wheel", "bdist_romfs"])
def test_a_failing_image_fails_the_build_with_one_message(path, way, project, python):
    data, message, status = WRONG[path]
    old = project / "dist/My.app.romfs"
    old.parent.mkdir()
    old.write_bytes(b"\xd2\xcd\x31\x00")
    make_project(project, {path: data, "setup.py": b"import setuptools\n\nsetuptools.setup()\n"})
    if path == "pyproject.toml":
        (project / path).write_text(f"{BACKEND}{TABLES}shara = true\n")
    if way == "build_wheel":
        said = hook(python, way, project, status=status)
    else:
        said = run(python, "setup.py", way, cwd=project, status=status)
    assert f"error: {message}" in said
    assert "Traceback" not in said
    assert [found.name for found in old.parent.iterdir()] == [old.name]
    assert old.read_bytes() == b"\xd2\xcd\x31\x00"


@pytest.mark.parametrize("command", [["uv", "build"], ["python", "-m", "build", "--no-isolation"]], ids=" ".join)
def test_front_ends_say_it_too(command, project):
    (project / "src/app/greeting.py").write_bytes(b"def greet(:\n")
    name, *rest = command
    program, status = (sys.executable, 1) if name == "python" else (judges.command(name), 2)
    said = run(program, *rest, cwd=project, status=status)
    assert "error: src/app/greeting.py:1: SyntaxError: invalid syntax" in said
    assert "Traceback" not in said.split("SyntaxError")[0]
    assert not list(project.glob("dist/*.whl")) + list(project.glob("dist/*.romfs"))
