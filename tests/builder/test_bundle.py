"""The bundle of a project: the table that asks for it, the front ends that write it, and what it leaves behind."""

import hashlib
import json
import shutil
import tarfile

import pytest

from hatch_romfs import BoardError, SettingsError, build
from hatch_romfs.builder.jobs import project_jobs
from hatch_romfs.collect.sdist import check_inside
from hatch_romfs.plugins.staging import StagedImages
from hatch_romfs.settings.project import load, read_project
from tests import judges
from tests.commands import run
from tests.firmware import support
from tests.firmware.support import romfs_image
from tests.projects import make_project

FIRMWARE = support.uf2(support.rp2_flash())
PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "app"
version = "1.0"

[tool.hatch.build.hooks.romfs]

[tool.romfs]
inventory = true

[tool.romfs.bundle]
firmware = "firmware/pico.uf2"
filename = "{name}-{version}-factory.uf2"
erase-fs = true
"""
PROJECT = {
    "pyproject.toml": PYPROJECT,
    "src/app/__init__.py": b"print('hello')\n",
    "firmware/pico.uf2": FIRMWARE,
}


def test_the_bundle_of_a_project_in_two_folders_has_one_hash(tmp_path):
    hashes = set()
    for name in ("a", "a longer name"):
        root = make_project(tmp_path / name, PROJECT)
        document = json.loads(romfs_image("build", root, "--json").stdout)
        path = root / "dist/app-1.0-factory.uf2"
        assert document["bundle"]["path"] == str(path)
        assert document["bundle"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        romfs_image("verify", path, "--against", root / "dist/app.romfs")
        hashes.add(document["bundle"]["sha256"])
        shutil.rmtree(root / "dist")
        build(root)
        hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_the_inventory_lists_the_bundle(tmp_path):
    root = make_project(tmp_path / "app", PROJECT)
    built = build(root)
    data = built.bundle.path.read_bytes()
    assert json.loads(built.inventory.read_bytes())["bundle"] == {
        "path": "app-1.0-factory.uf2",
        "kind": "uf2",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "address": support.ROMFS[0],
        "firmware": "firmware/pico.uf2",
        "firmware_sha256": hashlib.sha256(FIRMWARE).hexdigest(),
    }
    romfs_image("verify", built.bundle.path, "--inventory", built.inventory)


def test_a_bundle_that_fails_leaves_everything_as_it_was(tmp_path):
    root = make_project(tmp_path / "app", PROJECT)
    build(root)
    before = {path: path.read_bytes() for path in (root / "dist").iterdir()}
    (root / "src/app/data.bin").write_bytes(bytes(i * 3 & 0xFF for i in range(0x80000)))
    with pytest.raises(BoardError, match="more than the 524,288 of the partition"):
        build(root)
    assert {path: path.read_bytes() for path in (root / "dist").iterdir()} == before


def test_an_image_alone_needs_no_firmware(tmp_path):
    root = make_project(tmp_path / "app", {name: PROJECT[name] for name in ("pyproject.toml", "src/app/__init__.py")})
    assert build(root, tmp_path / "app.romfs").bundle is None
    with pytest.raises(SettingsError, match="cannot read .*pico.uf2"):
        build(root)
    assert not list(root.glob("dist/*"))


def test_a_staged_bundle_gets_into_its_place_with_the_image(tmp_path):
    """As by the build backends, which write nothing before the wheel is complete."""
    root = make_project(tmp_path / "app", PROJECT)
    project = read_project(root, load(root))
    staged = StagedImages(project_jobs(project, root / "dist", str).values(), print, print, print)
    assert not (root / "dist").exists()
    names = ["app.romfs", "app.romfs.json", "app-1.0-factory.uf2"]
    assert list(staged.place()) == [root / "dist" / name for name in names]
    romfs_image("verify", root / "dist/app-1.0-factory.uf2", "--against", root / "dist/app.romfs")


@pytest.mark.parametrize("way", ["hatchling", "uv"])
def test_front_ends_write_the_bundle_also_from_an_sdist(way, wheelhouse, tmp_path):
    """uv builds the wheel from the sdist, so that contains the firmware."""
    root = make_project(tmp_path / "app", PROJECT)
    run(judges.command(way), "build", cwd=root)
    expected = build(make_project(tmp_path / "again", PROJECT)).bundle.sha256
    assert hashlib.sha256((root / "dist/app-1.0-factory.uf2").read_bytes()).hexdigest() == expected
    with tarfile.open(root / "dist/app-1.0.tar.gz") as sdist:
        assert "app-1.0/firmware/pico.uf2" in sdist.getnames()


def test_firmware_outside_the_project_cannot_be_in_an_sdist(tmp_path):
    files = PROJECT | {"pyproject.toml": PYPROJECT.replace('"firmware/', '"../')}
    root = make_project(tmp_path / "app", files)
    with pytest.raises(SettingsError, match=r"tool.romfs: \.\./pico.uf2 is outside the project"):
        check_inside(read_project(root, load(root)))


def test_the_default_name_is_that_of_the_image_with_the_suffix_of_the_firmware(tmp_path):
    files = PROJECT | {"pyproject.toml": PYPROJECT.replace('filename = "{name}-{version}-factory.uf2"\n', "")}
    assert build(make_project(tmp_path / "app", files)).bundle.path.name == "app.uf2"
    files["pyproject.toml"] = files["pyproject.toml"].replace("inventory", 'filename = "app.uf2"\ninventory')
    with pytest.raises(SettingsError, match="the bundle and the image would both be written to app.uf2"):
        build(make_project(tmp_path / "same", files))
