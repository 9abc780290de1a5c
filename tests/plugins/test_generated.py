"""Files that the build generates: they are in the image, or there is a warning that they may be missing."""

import pytest

from hatch_romfs import build_all, open_image
from tests import judges
from tests.commands import romfs_image, run
from tests.content import checked_build as build
from tests.projects import FILES, make_project

CUSTOM = """\
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        Path(self.root, "src/app/generated.py").write_text("x = 1\\n")
        build_data["artifacts"].append("src/app/generated.py")
"""
ROMFS = "[tool.hatch.build.hooks.romfs]\n"
OTHER = "[tool.hatch.build.hooks.custom]\n"
WARNING = "the build backend did not run, so files that it generates may be missing or old: "


def make(root, hooks):
    text = FILES["pyproject.toml"].decode().replace(ROMFS, hooks)
    return make_project(root, FILES | {"pyproject.toml": text, "hatch_build.py": CUSTOM})


def names(path):
    with open_image(path) as image:
        return set(image.root.entries["app"].entries)


@pytest.mark.parametrize("hooks", [ROMFS + OTHER, OTHER + ROMFS], ids=["before", "after"])
@pytest.mark.parametrize("target", ["wheel", "romfs"])
def test_files_of_other_hooks_are_in_the_image_in_any_order(hooks, target, wheelhouse, tmp_path):
    root = make(tmp_path / "project", hooks)
    run(judges.command("hatchling"), "build", "-t", target, cwd=root)
    assert "generated.mpy" in names(root / "dist/My.app.romfs")


@pytest.mark.parametrize("hooks", [ROMFS + OTHER, OTHER + ROMFS], ids=["before", "after"])
@pytest.mark.parametrize("failing", ["image", "wheel"])
def test_there_is_neither_a_wheel_nor_an_image_if_one_fails(hooks, failing, wheelhouse, tmp_path):
    root = make(tmp_path / "project", hooks)
    if failing == "image":
        (root / "vendor/util.py").write_text("def who(:\n")
    else:
        text = (root / "pyproject.toml").read_text()
        include = '[tool.hatch.build.targets.wheel.force-include]\n"missing" = "app/missing"\n\n[tool.romfs]'
        (root / "pyproject.toml").write_text(text.replace("[tool.romfs]", include))
    run(judges.command("hatchling"), "build", "-t", "wheel", cwd=root, status=1)
    assert not list((root / "dist").iterdir())


def test_a_hook_for_wheels_alone_is_a_warning_of_the_target(wheelhouse, tmp_path):
    root = make(tmp_path / "project", ROMFS + "[tool.hatch.build.targets.wheel.hooks.custom]\n")
    said = run(judges.command("hatchling"), "build", "-t", "romfs", cwd=root)
    assert "tool.hatch.build.targets.wheel.hooks.custom did not run" in said
    said = run(judges.command("hatchling"), "build", "-t", "wheel", cwd=root)
    assert "did not run" not in said


@pytest.mark.parametrize(
    ("table", "files", "source"),
    [
        ("[tool.hatch.build.hooks.custom]", {}, "tool.hatch.build.hooks.custom"),
        ("[tool.hatch.build.targets.wheel.hooks.custom]", {}, "tool.hatch.build.targets.wheel.hooks.custom"),
        ("", {"hatch.toml": "[build.hooks.version]\npath = 'x'\n"}, "hatch.toml: build.hooks.version"),
        ("SETUPTOOLS", {"setup.py": "import os\nfrom setuptools import setup\nopen('x', 'w')\nsetup()\n"}, "setup.py"),
        ("SETUPTOOLS", {"setup.py": "from setuptools import setup\nsetup(cmdclass={})\n"}, "setup.py"),
        ("SETUPTOOLS", {"setup.py": "setup(\n"}, "setup.py"),
        ("SETUPTOOLS", {"setup.py": '"""Doc."""\nimport setuptools\nsetuptools.setup(name="x")\n'}, None),
        ('[tool.setuptools_scm]\nversion_file = "v.py"\nSETUPTOOLS', {}, "tool.setuptools_scm.version_file"),
        ('[tool.poetry.build]\nscript = "build.py"', {}, "tool.poetry.build.script"),
        ("", {"pdm_build.py": ""}, "pdm_build.py"),
        ("", {}, None),
    ],
)  # fmt: skip
def test_builds_of_the_image_alone_warn_about_generated_files(table, files, source, tmp_path):
    root = make_project(tmp_path / "project", FILES | files)
    text = (root / "pyproject.toml").read_text()
    if "SETUPTOOLS" in table:
        text = text.replace('"hatchling.build"', '"setuptools.build_meta"')
    text = text.replace("[tool.romfs]", f"{table.replace('SETUPTOOLS', '')}\n\n[tool.romfs]")
    (root / "pyproject.toml").write_text(text)
    expected = [f"{WARNING}{source}; a build front end runs it, as in `python -m build`"] if source else []
    assert list(build(root).warnings) == expected
    assert list(build_all(root)[""].warnings) == expected
    assert (WARNING in romfs_image("build", root).stderr) is bool(source)


def test_flashing_a_project_warns_too(tmp_path):
    root = make(tmp_path / "project", ROMFS + OTHER)
    board = f"sim:{tmp_path / 'rom.bin'}?family=rp2&size=64K"
    said = run(judges.command("romfs-flash"), root, "--port", board, cwd=tmp_path)
    assert f"{WARNING}tool.hatch.build.hooks.custom" in said
