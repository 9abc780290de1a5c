"""`mpy.arch-flags`: what it may be, and what it needs."""

import jsonschema
import pytest

from hatch_romfs.settings.schema import tool_schema
from hatch_romfs.settings.subtables import Mpy
from tests.settings.support import problems_of, settings_of

KEY = "tool.romfs.mpy.arch-flags"
KINDS = "architecture flags, separated by commas: zba, zcmp"


def table(flags: object, **more: object) -> dict[str, object]:
    return {"mpy": {"arch": "rv32imc", "arch-flags": flags} | more}


@pytest.mark.parametrize("flags", ["zba", "zcmp", "zba,zcmp", "zcmp,zba"])
def test_flags_are_names_that_commas_separate(flags):
    assert settings_of(table(flags)).mpy == Mpy("rv32imc", arch_flags=flags)
    jsonschema.validate(table(flags), tool_schema())


@pytest.mark.parametrize("flags", ["", ",", "zba,", "zba, zcmp", "zbb", "ZBA", "0x1", "x" * 100])
def test_other_texts_are_refused(flags):
    assert problems_of(table(flags)) == [
        f'{KEY}: must be one or more of zba, zcmp, separated by commas, such as "zba,zcmp", not {flags!r:.60}'
    ]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(table(flags), tool_schema())


@pytest.mark.parametrize(("flags", "kind"), [(1, "an integer"), (["zba"], "an array"), (True, "a boolean")])
def test_other_types_are_refused(flags, kind):
    assert problems_of(table(flags)) == [f"{KEY}: must be {KINDS}, not {kind}"]


def test_the_architecture_must_be_one_that_has_flags():
    need = f'{KEY}: needs arch = "rv32imc"'
    assert problems_of(table("zba", arch="rv64imc")) == [f"{need}; rv64imc has no flags"]
    assert problems_of({"mpy": {"arch-flags": "zba"}}) == [f"{need}; it is not set"]
    assert problems_of({"board": "OPENMV4", "mpy": {"arch-flags": "zba"}}) == [f"{need}; armv7emsp has no flags"]


def test_the_firmware_must_know_flags():
    for release in ("1.27", "1.28.0", "2.0"):
        assert settings_of(table("zba", micropython=release)).mpy
    for release in ("1.19", "1.26.1", "0.99"):
        assert problems_of(table("zba", micropython=release)) == [
            f"{KEY}: needs MicroPython 1.27 or newer; micropython is {release}"
        ]


def test_an_image_inside_the_image_is_checked_too():
    nested = {"path": "a", "to": "a.romfs", "image": {"mpy": {"arch": "x64"}}}
    assert problems_of(table("zba") | {"sources": [nested]}) == [
        'tool.romfs.sources[0].image.mpy.arch-flags: needs arch = "rv32imc"; x64 has no flags'
    ]
    inherited = {"path": "a", "to": "a.romfs", "image": {}}
    assert len(problems_of({"mpy": {"arch-flags": "zba"}, "lib": [inherited]})) == 1
