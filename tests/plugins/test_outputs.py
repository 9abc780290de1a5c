"""Where images go: the setting ``directory``, and files that a build must not overwrite."""

import sys

import pytest

from hatch_romfs import SettingsError, open_image
from tests import judges
from tests.commands import romfs_image, run
from tests.content import checked_build as build
from tests.plugins.support import sha256
from tests.projects import FILES, make_project

WAYS = {
    "hatch": ["hatch", "build"],
    "hatch -t romfs": ["hatch", "build", "-t", "romfs"],
    "hatchling": ["hatchling", "build"],
    "build": ["python", "-m", "build"],
    "uv": ["uv", "build"],
    "romfs-image": ["romfs-image", "build"],
}


def moved(root, directory="images"):
    text = FILES["pyproject.toml"].decode() + f'directory = "{directory}"\ninventory = true\n'
    return make_project(
        root, FILES | {"pyproject.toml": text.replace('version = "1', 'description = "A"\nversion = "1')}
    )


def start(way, root, status=0):
    name, *rest = WAYS[way]
    return run(sys.executable if name == "python" else judges.command(name), *rest, cwd=root, status=status)


@pytest.mark.parametrize("way", WAYS)
def test_the_image_goes_to_the_directory_that_the_project_names(way, reference, wheelhouse, tmp_path):
    root = moved(tmp_path / "project")
    start(way, root)
    assert sha256(root / "images/My.app.romfs") == reference
    assert sorted(path.name for path in (root / "images").iterdir()) == ["My.app.romfs", "My.app.romfs.json"]
    assert not list(root.glob("dist/*.romfs*"))
    if way == "hatch":
        run(judges.command("hatch"), "build", "-c", cwd=root)
        run(judges.command("hatchling"), "build", "-t", "wheel", "--clean-only", cwd=root)
        assert not list((root / "images").iterdir())


def test_twine_accepts_dist_only_without_the_image(project, wheelhouse, tmp_path):
    root = moved(tmp_path / "moved")
    for place in (project, root):
        run(judges.command("hatchling"), "build", cwd=place)
    beside = run(judges.command("twine"), "check", *(project / "dist").iterdir(), cwd=project, status=1)
    assert "My.app.romfs" in beside
    run(judges.command("twine"), "check", *(root / "dist").iterdir(), cwd=root)


def test_an_sdist_far_from_its_project_builds_the_image_beside_the_wheel(wheelhouse, tmp_path):
    root = moved(tmp_path / "project")
    (root / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: My.app\nVersion: 1.2.3rc1\n")
    said = run(judges.command("hatchling"), "build", "-t", "wheel", "-d", tmp_path / "out", cwd=root)
    assert "tool.romfs.directory is relative to the project, which is unknown: this is a build of its sdist" in said
    assert (tmp_path / "out/My.app.romfs").exists()


def test_an_output_of_the_command_outranks_the_directory(tmp_path):
    root = moved(tmp_path / "project")
    romfs_image("build", root, "-o", tmp_path / "here.romfs")
    assert not (root / "images").exists()


MEMBER = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1"

[tool.hatch.build.hooks.romfs]

[tool.hatch.build.targets.wheel]
bypass-selection = true

[tool.romfs]
filename = "rom.romfs"
"""


@pytest.mark.parametrize("way", [["uv", "build", "--wheel"], ["hatchling", "build", "-t", "wheel"]], ids=" ".join)
def test_members_of_a_workspace_do_not_overwrite_each_other(way, wheelhouse, tmp_path):
    root = make_project(
        tmp_path,
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["one", "two"]\n',
            **{f"{name}/pyproject.toml": MEMBER.format(name=name) for name in ("one", "two")},
            **{f"{name}/src/m.py": f"x = '{name}'\n" for name in ("one", "two")},
        },
    )
    program, *rest = way
    out = ["-o" if program == "uv" else "-d", root / "dist"]
    run(judges.command(program), *rest, *out, cwd=root / "one")
    before = (root / "dist/rom.romfs").read_bytes()
    said = run(judges.command(program), *rest, *out, cwd=root / "two", status=2)
    assert "rom.romfs already exists and is the image of one, not of two" in said
    assert (root / "dist/rom.romfs").read_bytes() == before
    assert not list((root / "dist").glob("two*"))
    run(judges.command(program), *rest, *out, cwd=root / "one")


def test_an_image_can_be_overwritten_by_name(tmp_path):
    for name in ("one", "two"):
        root = make_project(tmp_path / name, {"pyproject.toml": MEMBER.format(name=name), "src/m.py": "x = 1\n"})
        build(root, tmp_path / "rom.romfs")
    with open_image(tmp_path / "rom.romfs") as image:
        assert image.name == "two"
    root = make_project(tmp_path / "one", {"dist/rom.romfs": (tmp_path / "rom.romfs").read_bytes()})
    with pytest.raises(SettingsError, match="is the image of two, not of one"):
        build(root)


def test_the_image_of_the_current_folder_stays_inside_it(tmp_path):
    folder = make_project(tmp_path / "app", {"m.py": b"x = 1\n", "sub/n.py": b"x = 2\n"})
    said = romfs_image("build", cwd=folder).stdout
    assert said.startswith("app.romfs")
    first = sha256(folder / "app.romfs")
    romfs_image("build", ".", cwd=folder)
    romfs_image("build", "..", cwd=folder / "sub")
    assert sha256(folder / "app.romfs") == first  # the image does not contain itself
    assert [path.name for path in tmp_path.iterdir()] == ["app"]
    romfs_image("build", "app", cwd=tmp_path)
    assert sha256(tmp_path / "app.romfs") == first


def test_c_source_of_the_current_folder_needs_a_name(tmp_path):
    folder = make_project(tmp_path / "app", {"m.py": b"x = 1\n"})
    said = romfs_image("build", "--emit", "c", cwd=folder, status=2).stderr
    assert "app.c is inside" in said
    assert [path.name for path in tmp_path.iterdir()] == ["app"]
