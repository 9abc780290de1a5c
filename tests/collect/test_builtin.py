"""Modules with the names of built-in ones, compared with what the real MicroPython imports."""

import pytest

from hatch_romfs.collect.builtin import EXTENSIBLE, FIXED, shadowing_warnings
from hatch_romfs.images.run import run_image
from tests import judges
from tests.collect.support import collected, write_files
from tests.content import checked_build as build
from tests.projects import make_project

IMPORT = """
found = []
for name in {names!r}:
    try:
        if {test}:
            found.append(name)
    except ImportError:
        pass
print(' '.join(found))
"""


def test_micropython_imports_files_as_the_lists_say(tmp_path):
    names = sorted(FIXED | EXTENSIBLE)
    present = set(judges.micropython(IMPORT.format(names=names, test="__import__(name)")).split())
    image = build(make_project(tmp_path / "files", {f"{name}.py": "FROM_A_FILE = True\n" for name in names}))
    code = IMPORT.format(names=names, test="hasattr(__import__(name), 'FROM_A_FILE')")
    status, output, _ = run_image(image.path, image.size, code, capture=True)
    assert status == 0, output
    assert set(output.split()) & present == EXTENSIBLE & present
    assert {"json", "math", "time", "gc"} <= present


def test_the_documentation_lists_every_name():
    text = (judges.REPO / "docs/how-to/understand-warnings-about-files.md").read_text(encoding="utf-8")
    assert [name for name in FIXED | EXTENSIBLE if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("json.py", "json.py"),
        ("json.mpy", "json.mpy"),
        ("json/__init__.py", "json"),
        ("lib/json.py", "lib/json.py"),
        ("app/json.py", None),
        ("json.txt", None),
        ("json/data.bin", None),
        ("jsonx.py", None),
    ],
)
def test_only_modules_that_would_be_imported_count(path, shown):
    found = shadowing_warnings([path], "lib")
    assert [warning.split(" replaces ")[0] for warning in found] == ([shown] if shown else [])


def test_a_package_is_one_warning():
    assert len(shadowing_warnings(["os/__init__.py", "os/path.py"], "lib")) == 1


def test_modules_of_manifests_may_extend_built_in_ones(tmp_path):
    write_files(tmp_path, "src/app.py", "other/time.py")
    (tmp_path / "manifest.py").write_text("module('time.py', base_path='other')\n", encoding="utf-8")
    assert collected(tmp_path, manifest="manifest.py").warnings == ()
    assert len(collected(tmp_path, sources=["src", "other"]).warnings) == 1
