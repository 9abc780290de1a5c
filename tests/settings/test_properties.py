"""Any table gives a project, or an error with a reason; the schema agrees."""

from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import Project, read_project
from hatch_romfs.settings.schema import tool_schema
from hatch_romfs.settings.subtables import Linux, Mpy, Source
from hatch_romfs.settings.table import Model
from hatch_romfs.settings.values import ARCHS
from tests.settings.support import ROOT, patient, project_of
from tests.settings.test_values import GOOD

JUDGE = jsonschema.Draft7Validator(tool_schema())

STRINGS = (
    "", "src", "a/b", "/abs", "a\\b", "*.md", "!x", "x64", "native", "1.22", "v1", "128 KiB", "0 B", "{name}.romfs",
    "linux", "default",
)  # fmt: skip
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(STRINGS), st.text(max_size=8), st.booleans(), st.integers(), st.floats(), st.datetimes(),
    st.dates(), st.times(),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def tables(model: type[Model], values: st.SearchStrategy[Any], more: dict[str, st.SearchStrategy[Any]]) -> Any:
    """Tables with some of the keys of ``model``, their values likely ones or any."""
    optional = {name: more.get(name, values) for name, entry in model.keys.items()}
    return st.fixed_dictionaries({}, optional=optional)


def likely(text: st.SearchStrategy[str], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of which many are right, and the others nearly."""
    lists = st.lists(text, max_size=3)
    sources = st.lists(text | tables(Source, text, {"include": lists, "exclude": lists}), max_size=3)
    mpy = {
        "arch": st.sampled_from((*ARCHS, "armv7")),
        "optimize": st.integers(-1, 4),
        "emit": st.sampled_from(("bytecode", "native", "viper", "asm")),
        "exclude": lists,
        "arch-flags": st.sampled_from(("zba", "zba,zcmp", "zbb")),
    }
    nearly = {
        "format": st.sampled_from(("micropython", "linux", "minix")),
        "sources": sources,
        "lib": sources,
        "exclude": lists,
        "alignment": numbers | st.dictionaries(text, numbers, max_size=3),
        "mpy": st.booleans() | tables(Mpy, text, mpy),
        "size": numbers | text,
        "board": text | st.just("OPENMV2"),
        "partition": numbers,
        "linux": tables(Linux, text, {"executable": lists, "devices": st.dictionaries(text, text), "fifos": lists}),
    }
    mixed = {}
    for key in Settings.keys:
        if key != "images":
            right = st.sampled_from([value for name, value, _ in GOOD if name == key])
            mixed[key] = st.one_of(right, right, right, nearly.get(key, st.booleans() | text))
    return st.fixed_dictionaries({}, optional=mixed)


NUMBERS = st.sampled_from((0, 1, 2, 3, 4, 4096, 1 << 20, 1 << 21, 1 << 32)) | st.booleans()


@patient
@given(document=st.dictionaries(st.sampled_from(("project", "tool", "x")), ANYTHING))
def test_any_document(document):
    with pytest.raises(SettingsError):
        read_project(ROOT, document)


@patient
@given(
    metadata=ANYTHING | st.fixed_dictionaries({"name": ANYTHING, "version": ANYTHING}),
    table=ANYTHING
    | likely(st.text(max_size=6), NUMBERS)
    | st.dictionaries(st.sampled_from([*Settings.keys]), ANYTHING),
)
def test_any_table(metadata, table):
    try:
        made: object = read_project(ROOT, {"project": metadata, "tool": {"romfs": table}})
    except SettingsError as error:
        made = error
    if not isinstance(made, SettingsError):
        assert isinstance(made, Project)
        return
    assert made.problems
    for problem in made.problems:
        assert problem.key.startswith(("project", "tool.romfs"))
        assert problem.text
        assert str(problem) in str(made)


@patient
@given(table=likely(st.sampled_from(STRINGS) | st.text(max_size=6), NUMBERS))
@example(table={"exclude": [" "]})
@example(table={"lib-dir": "/"})
@example(table={"sources": [{"path": " ", "to": " "}], "lib-dir": " ", "filename": " "})
def test_what_the_parser_accepts_the_schema_accepts(table):
    try:
        project_of(table)
    except SettingsError:
        return
    JUDGE.validate(table)


@patient
@given(table=likely(st.sampled_from(STRINGS), NUMBERS))
def test_what_the_schema_accepts_the_parser_accepts(table):
    if not JUDGE.is_valid(table):
        return
    try:
        project_of(table)
    except SettingsError as error:
        # The one thing that it cannot say: a key that needs another, or another value of it.
        needs = {
            "tool.romfs.mpy.emit": "needs tool.romfs.mpy.arch, the board's",
            "tool.romfs.mpy.arch-flags": "needs ",
            "tool.romfs.linux": 'is only for format = "linux"',
            "tool.romfs.board": 'is only for format = "micropython"',
            "tool.romfs.partition": " has only partition",
            "tool.romfs.bundle": 'is only for format = "micropython"',
            "tool.romfs.bundle.address": "needs tool.romfs.size",
        }
        for problem in error.problems:
            assert needs[problem.key] in problem.text
