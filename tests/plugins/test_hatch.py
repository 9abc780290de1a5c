"""One project, every way to build it, on every Python: one SHA-256."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_romfs import open_image
from tests import judges
from tests.commands import run
from tests.content import checked_build as build
from tests.plugins.support import WRONG, sha256
from tests.projects import FILES, make_project


@pytest.mark.parametrize(
    "command",
    [
        ["hatch", "build", "-t", "romfs"],
        ["hatch", "build"],
        ["hatchling", "build", "-t", "romfs"],
        ["hatchling", "build", "-t", "wheel"],
        ["python", "-m", "build"],
        ["python", "-m", "build", "--wheel"],
        ["uv", "build"],
        ["romfs-image", "build"],
    ],
    ids=" ".join,
)
def test_every_front_end_builds_the_same_image(command, project, reference, wheelhouse):
    name, *rest = command
    run(sys.executable if name == "python" else judges.command(name), *rest, cwd=project)
    assert sha256(project / "dist/My.app.romfs") == reference
    left = {path.relative_to(project).parts[0] for path in project.rglob("*")}
    assert left == {"pyproject.toml", "src", "vendor", "dist"}


def embedding(project: Path) -> Path:
    """Have the project's wheel bring the image, which pip would else leave behind in a temporary folder."""
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    (project / "pyproject.toml").write_text(f'{text}embed = "app/My.app.romfs"\n', encoding="utf-8")
    return project


def test_pip_wheel_builds_the_image(project, reference, wheelhouse, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", tmp_path / "out", embedding(project), cwd=tmp_path)
    (wheel,) = (tmp_path / "out").glob("*.whl")
    image = zipfile.ZipFile(wheel).read("app/My.app.romfs")
    assert hashlib.sha256(image).hexdigest() == reference
    assert not (project / "dist").exists()


def test_pip_installs_the_image_from_an_sdist(project, reference, wheelhouse, tmp_path):
    run(judges.command("hatchling"), "build", "-t", "sdist", cwd=embedding(project))
    (sdist,) = (project / "dist").glob("*.tar.gz")
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", sdist, "hatch-romfs", cwd=tmp_path)
    code = "import hatch_romfs; print(hatch_romfs.installed_image('my.app'))"
    installed = Path(run(python, "-c", code, cwd=tmp_path).strip())
    assert sha256(installed) == reference
    assert environment in installed.parents
    board = f"sim:{tmp_path / 'rom.bin'}?port=rp2&size=64K"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", "hatch-romfs[sim]", cwd=tmp_path)
    run(python.with_name("romfs-flash"), "--installed", "my.app", "--port", board, cwd=tmp_path)
    assert (tmp_path / "rom.bin").read_bytes().startswith(installed.read_bytes())


def test_the_wheel_is_untouched_by_the_hook(project, wheelhouse, tmp_path):
    without = make_project(tmp_path / "without")
    text = (without / "pyproject.toml").read_text()
    (without / "pyproject.toml").write_text(text.replace("[tool.hatch.build.hooks.romfs]", ""))
    for root in (project, without):
        run(judges.command("hatchling"), "build", "-t", "wheel", cwd=root)
    one, two = (next((root / "dist").glob("*.whl")) for root in (project, without))
    assert sha256(one) == sha256(two)
    assert not list((without / "dist").glob("*.romfs"))


def test_the_hook_leaves_editable_installs_and_sdists_alone(project, wheelhouse):
    hatchling = judges.command("hatchling")
    run(hatchling, "build", "-t", "sdist", cwd=project)
    run(hatchling, "build", "-t", "wheel:editable", cwd=project)
    assert not list((project / "dist").glob("*.romfs"))


def test_cleaning_removes_the_image(project, wheelhouse):
    hatchling = judges.command("hatchling")
    for target in ("romfs", "wheel"):
        run(hatchling, "build", "-t", target, cwd=project)
        assert (project / "dist/My.app.romfs").exists()
        run(hatchling, "build", "-t", target, "--clean-only", cwd=project)
        assert not (project / "dist/My.app.romfs").exists()


def test_a_dynamic_version_is_the_same_everywhere(project, wheelhouse):
    text = (project / "pyproject.toml").read_text().replace('version = "1.2.3-rc1"', 'dynamic = ["version"]')
    text += 'filename = "{name}-{version}.romfs"\n\n[tool.hatch.version]\npath = "src/app/__init__.py"\n'
    (project / "pyproject.toml").write_text(text)
    (project / "src/app/__init__.py").write_text('__version__ = "4.5.6-rc1"\n')
    run(judges.command("hatchling"), "build", "-t", "romfs", cwd=project)
    image = project / "dist/My.app-4.5.6rc1.romfs"
    before = sha256(image)
    image.unlink()
    assert build(project).sha256 == before
    with open_image(image) as opened:
        assert opened.version == "4.5.6rc1"


INTERPRETERS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def interpreter(version: str) -> str | None:
    """Return a Python of that version: on the path, or among pyenv's."""
    found = [shutil.which(f"python{version}")]
    found += map(
        str, Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob(f"versions/{version}.*/bin/python")
    )
    for path in filter(None, found):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", INTERPRETERS)
def test_every_python_builds_the_same_image(version, reference, wheelhouse, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    environment = tmp_path / "environment"
    uv = judges.command("uv")
    run(uv, "venv", "--quiet", "--python", python, environment, cwd=tmp_path)
    inside = environment / ("Scripts" if os.name == "nt" else "bin")
    run(uv, "pip", "install", "--quiet", "--python", inside / "python", "hatch-romfs", cwd=tmp_path)
    project = make_project(tmp_path / f"another place {version}", dict(reversed(FILES.items())))
    for age, path in enumerate(sorted(project.rglob("*"))):
        os.utime(path, (10_000_000 * age, 10_000_000 * age))
        path.chmod(0o755 if path.is_dir() else 0o400 + age % 2 * 0o111)
    command = [inside / "romfs-image", "build", "--no-cache", project]
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": version[-1]}
    subprocess.run(command, check=True, env=os.environ | plain, umask=0o077 if os.name != "nt" else -1)
    assert sha256(project / "dist/My.app.romfs") == reference


@pytest.mark.parametrize("path", WRONG)
@pytest.mark.parametrize("target", ["romfs", "wheel"])
def test_a_failing_image_fails_the_build_with_one_message(path, target, project, wheelhouse):
    data, message, status = WRONG[path]
    old = project / "dist/My.app.romfs"
    old.parent.mkdir()
    old.write_bytes(b"\xd2\xcd\x31\x00")
    (project / path).write_bytes(data)
    said = run(judges.command("hatchling"), "build", "-t", target, cwd=project, status=status)
    assert message in said
    assert "Traceback" not in said
    assert [found.name for found in old.parent.iterdir()] == ["My.app.romfs"]
    assert old.read_bytes() == b"\xd2\xcd\x31\x00"


def test_build_prints_it_too(project, wheelhouse):
    (project / "src/app/greeting.py").write_bytes(b"def greet(:\n")
    said = run(sys.executable, "-m", "build", "--wheel", cwd=project, status=1)
    assert "src/app/greeting.py:1: SyntaxError: invalid syntax" in said
    assert "Traceback" not in said.split("SyntaxError")[0]
    assert not list(project.glob("dist/*"))
