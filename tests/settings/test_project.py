"""pyproject.toml to a project: every mistake is reported at once, with its full path."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import Project, has_table, load, read_project, read_settings
from hatch_romfs.settings.values import Alignment
from tests.settings.support import HINT, ROOT, problems_of, project_of

WRONG = """\
[project]
name = "my app"
version = 1.0

[tool.romfs]
format = "micropyton"
sorces = ["src"]
sources = ["src", { path = "a", to = "/b", inclde = [] }, 7]
lib-dir = ".."
exclude = [""]
manifest = "manifest.py"
size = "1 GiB"
share = 1

[tool.romfs.alignment]
default = 3

[tool.romfs.mpy]
arch = "armv7"
emit = "native"
optimize = 9
"""
ALL_THAT_IS_WRONG = """\
project.name: must consist of letters, digits, '.', '_', and '-', not 'my app'
project.version: must be a string, not a float
tool.romfs.format: must be "micropython" or "linux", not 'micropyton'; did you mean 'micropython'?
tool.romfs.sorces: unknown key; did you mean 'sources'?
tool.romfs.sources[1].to: '/b' is absolute; paths inside an image are relative to its root
tool.romfs.sources[1].inclde: unknown key; did you mean 'include'?
tool.romfs.sources[2]: must be a folder, or a table with `path`, not an integer
tool.romfs.lib-dir: '..' is not a name
tool.romfs.exclude[0]: must not be empty
tool.romfs.size: must be a size such as "128 KiB" or "24 MiB", not '1 GiB'
tool.romfs.share: must be true or false, not an integer
tool.romfs.alignment."default": must be a power of two from 1 to 1048576, not 3
tool.romfs.mpy.arch: must be "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", \
"xtensa", "xtensawin", "rv32imc", or "rv64imc", not 'armv7'; did you mean 'armv7m'?
tool.romfs.mpy.optimize: must be an integer from 0 to 3, not 9
"""


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "pyproject.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def read_from(folder: Path) -> Project:
    document = load(folder)
    assert document is not None
    return read_project(folder, document)


def test_every_mistake_is_reported_at_once(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read_from(written(tmp_path, WRONG))
    assert str(caught.value) == ALL_THAT_IS_WRONG + HINT.format(tmp_path / "pyproject.toml")
    assert [str(problem) for problem in caught.value.problems] == ALL_THAT_IS_WRONG.splitlines()


def test_a_project_as_it_is_written(tmp_path):
    text = '[project]\nname = "My.app-1_x"\nversion = "1.2.3"\n[tool.romfs]\nalignment."*.bin" = 8\n'
    expected = Settings(alignment=Alignment(1, (("*.bin", 8),)))
    assert read_from(written(tmp_path, text)) == Project(tmp_path, "My.app-1_x", "1.2.3", {"": expected})


@pytest.mark.parametrize("name", ["a", "7", "My.app-1_x", "A" * 200])
def test_names_of_projects(name):
    assert project_of({}, name=name).name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", "a\n", ".", 3, ["a"], None])
def test_bad_names_of_projects(name):
    assert problems_of({}, name=name) == [
        f"project.name: must consist of letters, digits, '.', '_', and '-', not {name!r}"
    ]


def test_a_name_that_is_a_number_too_long_to_be_written_out():
    (problem,) = problems_of({}, name=1 << 20000)
    assert problem.startswith("project.name: must consist of letters, digits, '.', '_', and '-', not ")


def test_a_version_may_be_dynamic():
    assert project_of({}).version is None
    assert project_of({}, version="1.0").version == "1.0"


@pytest.mark.parametrize(
    ("version", "kind"), [(1, "an integer"), (1.0, "a float"), (True, "a boolean"), ([], "an array")]
)
def test_bad_versions(version, kind):
    assert problems_of({}, version=version) == [f"project.version: must be a string, not {kind}"]


@pytest.mark.parametrize("version", ["../../x", "a/b", "..\\x"])
def test_a_version_cannot_put_the_image_into_another_folder(version):
    # It becomes a part of the artifact's name.
    (problem,) = problems_of({"filename": "{version}.romfs"}, version=version)
    assert problem.startswith("project.version: ")


@pytest.mark.parametrize("metadata", ["", "project = 3\n", "project = []\n"])
def test_a_missing_project_table(tmp_path, metadata):
    with pytest.raises(SettingsError) as caught:
        read_from(written(tmp_path, metadata + "[tool.romfs]\nx = 1\n"))
    assert str(caught.value) == (
        "project: pyproject.toml needs a [project] table with a name\ntool.romfs.x: unknown key\n"
        + HINT.format(tmp_path / "pyproject.toml")
    )


@pytest.mark.parametrize("text", ["", "tool = 1\n", "tool = []\n", "[tool.other]\n", "[romfs]\n"])
def test_a_missing_table(tmp_path, text):
    written(tmp_path, text)
    document = load(tmp_path)
    assert document is not None
    assert not has_table(document)
    with pytest.raises(SettingsError) as caught:
        read_project(tmp_path, document)
    assert str(caught.value) == (
        f"{tmp_path / 'pyproject.toml'} has no [tool.romfs] table\nAdd one; an empty table means the default settings."
    )


@pytest.mark.parametrize(("table", "kind"), [(3, "an integer"), ([{}], "an array"), ("on", "a string")])
def test_a_value_that_is_not_a_table_is_an_error(table, kind):
    assert problems_of(table) == [f"tool.romfs: must be a table, not {kind}"]


@pytest.mark.parametrize("text", ["a = ", "[a]\n[a]\n", "a = 'ä'\nb = é", "a = 2026-02-30", "a = 1\0"])
def test_broken_toml(tmp_path, text):
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    with pytest.raises(tomllib.TOMLDecodeError) as said:
        tomllib.loads(text)
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value) == f"{tmp_path / 'pyproject.toml'}: not valid TOML: {said.value}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"a = '\xff'", "1: the text is not valid UTF-8: byte 0xff\nSave it as UTF-8."),
        (b"a = 1\nb = 2 # \xe9\n", "2: the text is not valid UTF-8: byte 0xe9\nSave it as UTF-8."),
        ("a = 'ä'".encode("utf-16"), "1: the text is not valid UTF-8: byte 0xff\nSave it as UTF-8."),
        (
            "\ufeff[a]".encode(),
            "1: begins with a byte order mark, which TOML does not allow\nSave it as UTF-8 without BOM.",
        ),
    ],
)
def test_a_file_in_another_encoding(tmp_path, text, problem):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value) == f"{tmp_path / 'pyproject.toml'}:{problem}"


@pytest.mark.parametrize("text", [f"a = {'9' * 5000}", f"a = {'[' * 3000}{']' * 3000}"], ids=["long number", "nested"])
def test_toml_that_is_too_much_for_its_parser(tmp_path, text):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'pyproject.toml'}: ")


def test_a_folder_without_pyproject_toml_has_no_project(tmp_path):
    assert load(tmp_path) is None


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    # Windows says that it may not
    assert caught.value.message.startswith(f"cannot read {tmp_path / 'pyproject.toml'}: ")
    assert caught.value.message.endswith(("Is a directory", "Permission denied"))
    assert caught.value.hint == f"{tmp_path / 'pyproject.toml'} is a folder. Name a TOML file."


def test_overrides_are_read_like_the_table():
    given: dict[str, object] = {"format": "linux", "mpy": False, "alignment": {"default": 4, "*.b": 8}, "lib-dir": "x"}
    settings = read_settings(given)
    assert (settings.format, settings.mpy, settings.lib_dir) == ("linux", None, "x")
    assert settings.alignment == Alignment(4, (("*.b", 8),))
    assert read_settings({}) == Settings()


def test_the_root_is_kept_as_it_was_given():
    assert project_of({}).root == ROOT
