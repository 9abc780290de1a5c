"""The JSON schema: the committed file, validate-pyproject, and agreement with the parser."""

import json
from importlib.metadata import entry_points
from typing import Any

import jsonschema
import pytest
from validate_pyproject.api import Validator
from validate_pyproject.error_reporting import ValidationError

from hatch_romfs.settings.project import load, read_project
from hatch_romfs.settings.reference import page
from hatch_romfs.settings.schema import tool_schema
from tests.judges import REPO
from tests.settings import test_values as values

COMMITTED = REPO / "docs" / "reference" / "settings.schema.json"
PAGE = REPO / "docs" / "reference" / "settings.md"
EXAMPLES = sorted(path.parent for path in REPO.glob("examples/*/pyproject.toml"))
# What a JSON schema does not see; for it 4.0 is an integer, and "$" in a pattern lets a last line break pass.
TOO_FINE = (
    4.0,
    "1.22\n",
    "..",
    "a/../b",
    ".",
    "a//b",
    "a/",
    "a\0",
    "C:/lib",
    "{nam}",
    "{name}-{}",
    "{ name}",
    "{",
    "4096 MiB",
    "4294967296 B",
)


@pytest.fixture(scope="module")
def judge() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(tool_schema())


def test_the_committed_schema_is_the_model_s():
    expected = json.dumps(tool_schema(), indent=2, ensure_ascii=False) + "\n"
    assert COMMITTED.read_text(encoding="utf-8") == expected


def test_the_committed_page_is_the_model_s():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_it_is_a_schema():
    schema = tool_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


def test_every_key_is_described(judge):
    def described(schema: dict[str, Any], at: str) -> None:
        for name, entry in schema.get("properties", {}).items():
            assert entry["description"].endswith("."), f"{at}.{name}"
            described(entry, f"{at}.{name}")
        for part in (*schema.get("anyOf", ()), *filter(None, [schema.get("items")])):
            described(part, at)

    described(judge.schema, "tool.romfs")
    assert len(judge.schema["properties"]) == 27


def test_defaults_are_allowed(judge):
    properties = judge.schema["properties"]
    judge.validate({name: entry["default"] for name, entry in properties.items() if "default" in entry})


def test_validate_pyproject_is_offered_it():
    (offered,) = entry_points(group="validate_pyproject.tool_schema", name="romfs")
    assert offered.load()("romfs") == tool_schema()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_validate_pyproject_accepts_the_examples(example):
    document = load(example)
    assert document is not None
    read_project(example, document)
    assert Validator()(document) == document


def test_there_are_examples():
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"sorces": []}, "`tool.romfs` must not contain {'sorces'} properties"),
        ({"format": "cramfs"}, "`tool.romfs.format` must be one of ['micropython', 'linux']"),
        ({"metadata": 1}, "`tool.romfs.metadata` must be boolean"),
    ],
)
def test_validate_pyproject_rejects_what_is_wrong(table, text):
    with pytest.raises(ValidationError) as caught:
        Validator()({"project": {"name": "app", "version": "1"}, "tool": {"romfs": table}})
    assert text in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, value, _ in values.GOOD])
def test_what_the_parser_accepts(judge, key, value):
    judge.validate({key: value})


def fine_enough(value: object) -> bool:
    return value not in TOO_FINE


WRONG = [
    *[{key: value} for key, value, _ in values.WRONG_TYPES if fine_enough(value)],
    *[{key: value} for key, value, _ in values.BAD if fine_enough(value)],
    *[{"lib-dir": path} for path, _ in values.IMAGE_PATHS if fine_enough(path)],
    *[{"lib": [source]} for source, _ in values.SOURCES if fine_enough(source)],
    *[{"mpy": {key: value}} for key, value, _ in values.MPY if fine_enough(value)],
]


@pytest.mark.parametrize("table", WRONG, ids=repr)
def test_what_the_parser_refuses(judge, table):
    with pytest.raises(jsonschema.ValidationError):
        judge.validate(table)
