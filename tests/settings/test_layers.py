"""Layers of settings: which one wins for each key, and which one an error names."""

import pytest

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.layers import Options, merge
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import Project, read_project, read_settings
from hatch_romfs.settings.subtables import Linux, Mpy, Nested
from hatch_romfs.settings.values import Alignment
from tests.settings.support import ROOT, problems_of


def read(table: object, overrides: dict[str, object] | Options | None = None) -> Project:
    return read_project(ROOT, {"project": {"name": "app"}, "tool": {"romfs": table}}, overrides)


def settings_of(table: object, overrides: dict[str, object] | Options | None = None) -> Settings:
    return read(table, overrides).images[""]


@pytest.mark.parametrize(
    ("table", "overrides", "expected"),
    [
        ({"size": 1}, {"size": 2, "share": False}, {"size": 2, "share": False}),
        ({"size": 1}, {}, {"size": 1}),
        ({"mpy": {"optimize": 3}}, {"mpy": True}, {"mpy": Mpy(optimize=3)}),
        ({"mpy": {"optimize": 3}}, {"mpy": {"arch": "x64"}}, {"mpy": Mpy("x64", optimize=3)}),
        ({"mpy": False}, {"mpy": True}, {"mpy": Mpy()}),
        ({"mpy": {"optimize": 3}}, {"mpy": False}, {"mpy": None}),
        ({"alignment": 4}, {"alignment": {"*.b": 8}}, {"alignment": Alignment(4, (("*.b", 8),))}),
        ({"alignment": {"*.b": 2}}, {"alignment": 8}, {"alignment": Alignment(8)}),
        (
            {"alignment": {"*.b": 2, "*.c": 4}},
            {"alignment": {"*.b": 8}},
            {"alignment": Alignment(1, (("*.b", 8), ("*.c", 4)))},
        ),
        ({}, {"alignment": {"default": 8}}, {"alignment": Alignment(8)}),
        (
            {"format": "linux", "linux": {"volume": "a", "fifos": ["f"]}},
            {"linux": {"volume": "b"}},
            {"format": "linux", "mpy": None, "share": False, "linux": Linux("b", fifos=("f",))},
        ),
        ({}, {"format": "linux", "mpy": True}, {"format": "linux", "share": False}),
    ],
)
def test_an_option_outranks_the_table_key_by_key(table, overrides, expected):
    assert settings_of(table, overrides) == Settings(**expected)


def test_an_image_replaces_what_it_shares_with_the_others():
    images = {"a": {"alignment": {"*.b": 8}, "mpy": {"optimize": 1}}, "b": {"size": 7}}
    project = read({"alignment": 4, "mpy": {"arch": "x64"}, "images": images})
    assert project.images == {
        "a": Settings(alignment=Alignment(1, (("*.b", 8),)), mpy=Mpy(optimize=1), filename="{name}-{image}.romfs"),
        "b": Settings(alignment=Alignment(4), mpy=Mpy("x64"), size=7, filename="{name}-{image}.romfs"),
    }


def test_an_option_outranks_every_image():
    project = read({"images": {"a": {"size": 1}, "b": {}}}, {"size": 9})
    assert [settings.size for settings in project.images.values()] == [9, 9]


@pytest.mark.parametrize(
    ("around", "own", "expected"),
    [
        ({}, {}, Nested()),
        ({"alignment": 4, "share": False}, {}, Nested(Alignment(4), share=False)),
        ({"alignment": 4}, {"alignment": {"*.b": 8}}, Nested(Alignment(4, (("*.b", 8),)))),
        ({"alignment": {"*.b": 8}}, {"alignment": 2}, Nested(Alignment(2))),
        ({"mpy": {"arch": "x64"}}, {"mpy": {"optimize": 2}}, Nested(mpy=Mpy("x64", 2))),
        ({"mpy": {"arch": "x64"}}, {"mpy": False, "metadata": False}, Nested(mpy=None, metadata=False)),
        ({"format": "linux"}, {}, Nested(mpy=None, share=False)),
        ({"layout": "stable"}, {}, Nested(layout="stable")),
        ({"layout": "stable"}, {"layout": "compact"}, Nested(layout="compact")),
    ],
)
def test_a_nested_image_inherits_from_the_image_around_it(around, own, expected):
    settings = settings_of(around | {"sources": [{"path": "a", "to": "a.romfs", "image": own}]})
    assert settings.sources[0].image == expected


ALIGN = Options(
    {"alignment": {"default": 3, "*.bin": 5}},
    {"alignment": "--align", 'alignment."default"': "--align 3", 'alignment."*.bin"': "--align '*.bin=5'"},
)


def test_an_error_names_the_option_that_it_is_about():
    with pytest.raises(SettingsError) as caught:
        settings_of({}, ALIGN)
    assert str(caught.value).splitlines() == [
        "--align 3: must be a power of two from 1 to 1048576, not 3",
        "--align '*.bin=5': must be a power of two from 1 to 1048576, not 5",
    ]


def test_overrides_of_the_api_are_named_as_such():
    with pytest.raises(SettingsError) as caught:
        read_settings({"format": "cramfs", "alignment": 3, "mpy": {"optimize": 4}, "formt": 1})
    assert str(caught.value).splitlines() == [
        'overrides.format: must be "micropython" or "linux", not \'cramfs\'',
        "overrides.alignment: must be a power of two from 1 to 1048576, not 3",
        "overrides.mpy.optimize: must be an integer from 0 to 3, not 4",
        "overrides.formt: unknown key; did you mean 'format'?",
    ]


def test_mistakes_of_all_layers_are_reported_at_once():
    with pytest.raises(SettingsError) as caught:
        settings_of({"size": 0}, {"share": 1})
    assert [problem.key for problem in caught.value.problems] == ["tool.romfs.size", "overrides.share"]


def test_a_contradiction_names_the_layer_that_it_comes_from():
    with pytest.raises(SettingsError) as caught:
        settings_of({"board": "OPENMV_N6"}, Options({"linux": {"volume": "x"}, "partition": 3}, {"linux": "--volume"}))
    assert [problem.key for problem in caught.value.problems] == ["--volume", "overrides.partition"]


def test_a_contradiction_in_what_images_share_is_reported_once():
    table = {"mpy": {"emit": "native"}, "images": {"a": {}, "b": {}}}
    assert problems_of(table) == ['tool.romfs.mpy.emit: "native" needs tool.romfs.mpy.arch, the board\'s']


def test_values_know_where_they_were_given():
    settings = settings_of({"board": "OPENMV_AE3", "alignment": {"*.b": 4}, "mpy": {"optimize": 1}}, {"size": 9})
    assert settings.where("size") == "overrides.size"
    assert settings.where("alignment", "*.b") == 'tool.romfs.alignment."*.b"'
    assert settings.where("alignment", "*.tflite") == "board OPENMV_AE3"
    assert settings.where("lib_dir") == "tool.romfs.lib-dir"
    assert settings.mpy is not None
    assert settings.mpy.where("optimize") == "tool.romfs.mpy.optimize"
    assert settings.mpy.where("arch") == "board OPENMV_AE3"
    assert settings_of({"board": "OPENMV_AE3"}).where("size") == "board OPENMV_AE3"


def test_merging_changes_neither_layer():
    lower, upper = Settings(mpy=Mpy("x64")), Settings(mpy=Mpy(optimize=3))
    assert merge(lower, upper).mpy == Mpy("x64", 3)
    assert (lower, upper) == (Settings(mpy=Mpy("x64")), Settings(mpy=Mpy(optimize=3)))
