"""``embed`` on every path: the wheel contains the image, or the build fails and says what to do."""

import hashlib
import sys
import zipfile

import pytest

from hatch_romfs import BuildError, SettingsError
from hatch_romfs.plugins.wheel import add_to_wheel
from tests import judges
from tests.commands import romfs_image, run
from tests.content import checked_build as build
from tests.projects import make_project

SYSTEMS = {
    "hatch": ("hatchling", "hatchling.build", "[tool.hatch.build.hooks.romfs]\n"),
    "setuptools": ("setuptools", "setuptools.build_meta", '[tool.setuptools.packages.find]\nwhere = ["src"]\n'),
    "flit": ("flit_core", "hatch_romfs.plugins.backend", ""),
}

pytestmark = pytest.mark.usefixtures("wheelhouse")


def make(root, system, name="app", embed="true", package="app"):
    requires, backend, tables = SYSTEMS[system]
    other = 'backend = "flit_core.buildapi"\n' if system == "flit" else ""
    flit = f'[tool.flit.module]\nname = "{package}"\n' if system == "flit" else ""
    hatch = f'[tool.hatch.build.targets.wheel]\npackages = ["src/{package}"]\n' if system == "hatch" else ""
    text = f"""\
[build-system]
requires = ["{requires}", "hatch-romfs"]
build-backend = "{backend}"

[project]
name = "{name}"
version = "1"
description = "A sample."

{tables}{hatch}{flit}
[tool.romfs]
{other}embed = {embed}
"""
    return make_project(root, {"pyproject.toml": text, f"src/{package}/__init__.py": "x = 1\n"})


def uv_build(root, status=0):
    return run(judges.command("uv"), "build", "--wheel", cwd=root, status=status)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_wheel_contains_the_image_and_its_record(system, tmp_path):
    root = make(tmp_path / "app", system)
    uv_build(root)
    (wheel,) = (root / "dist").glob("*.whl")
    image = (root / "dist/app.romfs").read_bytes()
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read("app/app.romfs") == image
        assert len(opened.namelist()) == len(set(opened.namelist()))
        record = opened.read("app-1.dist-info/RECORD").decode()
    assert f",{len(image)}\n" in record.replace("\r", "")
    assert record.count("app/app.romfs,sha256=") == 1
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path / "to", wheel, cwd=tmp_path)
    assert (tmp_path / "to/app/app.romfs").read_bytes() == image


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_wheel_is_the_same_for_every_build(system, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    hashes = set()
    for name in ("one", "two"):
        root = make(tmp_path / name, system)
        uv_build(root)
        hashes.add(hashlib.sha256(next((root / "dist").glob("*.whl")).read_bytes()).hexdigest())
    assert len(hashes) == 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_project_whose_package_has_another_name_must_say_where(system, tmp_path):
    root = make(tmp_path / "tool", system, name="esp-tool", package="app")
    said = uv_build(root, status=2)
    assert "tool.romfs.embed: the wheel has no package esp_tool, only app" in said
    assert '`embed = "app/esp-tool.romfs"`' in said
    assert [path.name for path in (root / "dist").iterdir() if not path.name.startswith(".git")] == []
    make(root, system, name="esp-tool", embed='"app/esp-tool.romfs"')
    uv_build(root)
    assert list((root / "dist").glob("*.whl"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_old_image_in_the_package_is_replaced_or_refused(system, tmp_path):
    root = make(tmp_path / "app", system)
    old = build(root, tmp_path / "old.romfs").path.read_bytes()
    make_project(root, {"src/app/app.romfs": old, "src/app/__init__.py": "x = 2\n"})
    if system == "setuptools":
        text = (root / "pyproject.toml").read_text()
        (root / "pyproject.toml").write_text(f'{text}\n[tool.setuptools.package-data]\napp = ["*.romfs"]\n')
    uv_build(root)
    (wheel,) = (root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read("app/app.romfs") == (root / "dist/app.romfs").read_bytes() != old
    (root / "src/app/app.romfs").rename(root / "src/app/older.romfs")
    wheel.unlink()
    said = uv_build(root, status=2)
    assert "the wheel already contains an image of app, app/older.romfs, beside the new one, app/app.romfs" in said
    assert not list((root / "dist").glob("*.whl"))


UNABLE = [
    ("hatchling.build", "hatchling", "Enable the build hook: add a table [tool.hatch.build.hooks.romfs]."),
    ("setuptools.build_meta", "setuptools", "Add hatch-romfs to `build-system.requires`."),
    ("flit_core.buildapi", "flit_core", 'Set `build-system.build-backend` to "hatch_romfs.plugins.backend"'),
]


@pytest.mark.parametrize(("backend", "package", "advice"), UNABLE, ids=[case[1] for case in UNABLE])
def test_embed_is_refused_where_nothing_adds_the_image(backend, package, advice, tmp_path):
    text = f"""\
[build-system]
requires = ["{package}"]
build-backend = "{backend}"

[project]
name = "app"
version = "1"

[tool.romfs]
embed = true
"""
    root = make_project(tmp_path / "app", {"pyproject.toml": text, "src/app/__init__.py": ""})
    said = romfs_image("build", root, status=2).stderr
    assert "tool.romfs.embed: the project's build backend does not add the image to wheels" in said
    assert advice in said
    with pytest.raises(SettingsError, match="does not add the image to wheels"):
        build(root)
    if package == "hatchling":
        (root / "pyproject.toml").write_text(text.replace('"hatchling"', '"hatchling", "hatch-romfs"'))
        said = run(judges.command("hatchling"), "build", "-t", "romfs", cwd=root, status=2)
        assert advice in said
    assert not list(root.glob("dist/*.romfs"))


def test_a_hook_in_hatch_toml_counts(tmp_path):
    root = make(tmp_path / "app", "hatch")
    text = (root / "pyproject.toml").read_text().replace("[tool.hatch.build.hooks.romfs]", "")
    make_project(root, {"pyproject.toml": text, "hatch.toml": "[build.hooks.romfs]\n"})
    assert build(root).files == 1


def test_a_damaged_wheel_is_an_error(tmp_path):
    image = build(make(tmp_path / "app", "hatch")).path
    wheel = tmp_path / "app-1-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    with pytest.raises(BuildError, match="cannot add the image to app-1"):
        add_to_wheel(wheel, {"app/app.romfs": image})
    assert wheel.read_bytes() == b"PK"
