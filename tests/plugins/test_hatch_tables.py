"""Hatch's own keys in the tables of the hook and the target, and what Hatch puts into sdists."""

import tarfile

import pytest

from tests import judges
from tests.commands import run
from tests.content import checked_build as build
from tests.plugins.support import sha256
from tests.projects import FILES, make_project

HOOK = "[tool.hatch.build.hooks.romfs]\n"

pytestmark = pytest.mark.usefixtures("wheelhouse")


def make(root, hook="", target="", build_table="", romfs=""):
    text = FILES["pyproject.toml"].decode().replace(HOOK, HOOK + hook)
    tables = f"[tool.hatch.build.targets.romfs]\n{target}\n[tool.hatch.build]\n{build_table}\n\n[tool.romfs]\n{romfs}"
    extra = "[project.optional-dependencies]\ncli = []\n\n[tool.hatch.build.hooks.romfs]"
    text = text.replace("[tool.romfs]", tables).replace("[tool.hatch.build.hooks.romfs]", extra)
    return make_project(root, FILES | {"pyproject.toml": text})


def hatchling(root, *options, status=0):
    return run(judges.command("hatchling"), "build", *options, cwd=root, status=status)


@pytest.mark.parametrize(
    "keys",
    [
        'dependencies = ["packaging"]',
        "require-runtime-dependencies = true",
        'require-runtime-features = ["cli"]',
        "enable-by-default = true",
    ],
)
def test_the_table_of_the_hook_takes_the_keys_of_hatch(keys, reference, tmp_path):
    root = make(tmp_path / "project", hook=f"{keys}\n")
    hatchling(root, "-t", "wheel")
    assert sha256(root / "dist/My.app.romfs") == reference


def test_a_hook_that_is_off_builds_no_image(tmp_path, monkeypatch):
    root = make(tmp_path / "project", hook="enable-by-default = false\n")
    hatchling(root, "-t", "wheel")
    assert not list(root.glob("dist/*.romfs"))
    monkeypatch.setenv("HATCH_BUILD_HOOK_ENABLE_ROMFS", "true")
    hatchling(root, "-t", "wheel")
    assert list(root.glob("dist/*.romfs"))


@pytest.mark.parametrize(
    "keys",
    [
        'dependencies = ["packaging"]',
        "require-runtime-dependencies = true",
        'require-runtime-features = ["cli"]',
        'versions = ["standard"]',
        "reproducible = true\nignore-vcs = true\nskip-excluded-dirs = true",
        'dev-mode-dirs = ["."]\ndev-mode-exact = true',
        "hooks.romfs.dependencies = []",
    ],
)
def test_the_table_of_the_target_takes_the_keys_of_hatch(keys, reference, tmp_path):
    root = make(tmp_path / "project", target=f"{keys}\n")
    said = hatchling(root, "-t", "romfs")
    assert sha256(root / "dist/My.app.romfs") == reference
    assert "warning" not in said


def test_hatch_names_the_output_folder_of_the_target(reference, tmp_path):
    root = make(tmp_path / "project", target='directory = "out"\n')
    hatchling(root, "-t", "romfs")
    assert sha256(root / "out/My.app.romfs") == reference


@pytest.mark.parametrize("key", ['exclude = ["*.bin"]', 'sources = ["src"]', 'only-include = ["src"]'])
def test_keys_about_the_content_of_wheels_are_a_warning(key, reference, tmp_path):
    root = make(tmp_path / "project", target=f"{key}\n")
    said = hatchling(root, "-t", "romfs")
    assert f"tool.hatch.build.targets.romfs.{key.split()[0]} does not change the image; [tool.romfs] does" in said
    assert sha256(root / "dist/My.app.romfs") == reference


def test_versions_of_the_target_choose_images(tmp_path):
    root = make(tmp_path / "project", target='versions = ["b"]\n', romfs="images = { a = {}, b = {} }\n")
    hatchling(root, "-t", "romfs")
    assert [path.name for path in (root / "dist").iterdir()] == ["My.app-b.romfs"]


@pytest.mark.parametrize("key", ['exclude = ["*.bin"]', "alignment = 4", 'directory = "x"'])
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_our_keys_in_the_table_of_the_hook_are_refused(key, target, tmp_path):
    root = make(tmp_path / "project", hook=f"{key}\n")
    assert f"move this key: {key.split()[0]} to [tool.romfs]" in hatchling(root, "-t", target, status=2)
    assert not list((root / "dist").iterdir())


@pytest.mark.parametrize(
    "table",
    [
        'only-include = ["src/app/__init__.py"]',
        'include = ["/src/app/*.py"]',
        'exclude = ["vendor", "*.bin"]',
        'only-include = ["src"]\nexclude = ["ünï cödé"]\nsources = ["src"]',
    ],
)
def test_an_sdist_has_the_sources_whatever_hatch_selects(table, tmp_path):
    root = make(tmp_path / "project", build_table=table)
    hatchling(root, "-t", "sdist")
    first = sha256(next((root / "dist").glob("*.tar.gz")))
    hatchling(root, "-t", "sdist")
    (archive,) = (root / "dist").iterdir()
    assert sha256(archive) == first
    with tarfile.open(archive) as opened:
        names = opened.getnames()
        assert {(member.uname, member.uid) for member in opened} == {("", 0)}
        opened.extractall(tmp_path / "unpacked", filter="data")
    assert len(names) == len(set(names))
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert build(unpacked).sha256 == build(root).sha256


def test_an_sdist_cannot_contain_sources_outside_the_project(tmp_path):
    make_project(tmp_path / "other", {"x.py": b"x = 1\n"})
    root = make(tmp_path / "project", romfs='sources = ["src", "../other"]\n')
    said = hatchling(root, "-t", "sdist", status=2)
    assert "tool.romfs: ../other is outside the project, so an sdist cannot contain it" in said
    assert not list((root / "dist").iterdir())
    hatchling(root, "-t", "wheel")


def test_an_sdist_without_a_source_folder_fails(tmp_path):
    root = make(tmp_path / "project", romfs='sources = ["src", "missing"]\n')
    assert "missing does not exist" in hatchling(root, "-t", "sdist", status=2)
    assert not list((root / "dist").iterdir())
