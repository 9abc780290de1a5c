"""OpenMV's configurations as tables: they build what OpenMV's builder puts into an image, or say what is missing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs import SettingsError, build_all, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.settings.openmv import import_config
from hatch_romfs.settings.project import read_project
from hatch_romfs.tree import files
from romfs_manifest.shared.toml import loads
from tests.commands import romfs_image
from tests.projects import make_project
from tests.settings.support import ROOT, patient

MODEL = {"type": "tflite", "path": "{TOP}/lib/models/face.tflite", "alignment": 32, "optimize": "Performance"}
HAAR = {"type": "haar", "path": "{TOP}/lib/haar/eye.xml", "stages": 0}
CONFIG = {
    "0": {
        "size": "0x1800000",
        "entries": [
            MODEL,
            MODEL | {"path": "{TOP}/lib/models/hand.tflite"},
            HAAR,
            {"type": "bin", "path": "{TOP}/drivers/wifi/fw [#1]*.bin", "alignment": 512},
            {"type": "txt", "path": "{TOP}/notes.txt", "enabled": False},
        ],
    },
    "1": {
        "size": "100000",
        "entries": [
            {"type": "tflite", "path": "{TOP}/lib/models/face.tflite"},
            {"type": "py", "path": "{TOP}/boot.py"},
        ],
    },
}
FILES = {
    "lib/models/face.tflite": "model",
    "lib/models/face.txt": "labels",
    "lib/models/hand.tflite": "another model",
    "lib/models/unused.tflite": "no",
    "lib/haar/eye.xml": "<xml/>",
    "drivers/wifi/fw [#1]*.bin": "firmware",
    "drivers/wifi/fw 1.bin": "no",
    "notes.txt": "no",
    "boot.py": "x = 1\n",
}


def imported(config, board="OPENMV_AE3"):
    return import_config(json.dumps(config).encode(), "romfs_config.json", board)


def images(table):
    """Return the settings that the table gives."""
    return read_project(ROOT, {"project": {"name": "app", "version": "1"}} | loads(table.toml)).images


def test_the_table_builds_what_openmv_puts_into_its_images(tmp_path):
    table = imported(CONFIG)
    root = make_project(tmp_path / "openmv", FILES)
    make_project(root, {"pyproject.toml": f'[project]\nname = "app"\nversion = "1"\n\n{table.toml}'})
    built = build_all(root)
    assert {name: (one.board, one.partition, one.limit) for name, one in built.items()} == {
        "romfs0": ("OPENMV_AE3", 0, 24 << 20),
        "romfs1": ("OPENMV_AE3", 1, 1 << 20),
    }
    found = {}
    for name, one in built.items():
        with open_image(one.path) as image:
            found[name] = {path: image_content(file).alignment for path, file in files(image.root)}
    assert found["romfs0"].keys() == {"face.tflite", "face.txt", "hand.tflite", "fw [#1]*.bin"}
    assert found["romfs1"].keys() == {"face.tflite", "face.txt", "boot.py"}
    assert found["romfs0"]["face.tflite"] >= 32
    assert found["romfs0"]["hand.tflite"] >= 32
    assert found["romfs0"]["fw [#1]*.bin"] >= 512
    assert all(alignment >= 4 for one in found.values() for alignment in one.values())


def test_what_a_table_cannot_express_is_a_comment_and_a_warning():
    config = {"0": {"size": "0x40000", "entries": [MODEL | {"speed": 9}, HAAR], "color": "red"}}
    table = imported(config, "somewhere")
    assert table.warnings == (
        '"0".color is unknown and was ignored',
        '"0".entries[0].speed is unknown and was ignored',
        "lib/haar/eye.xml is left out: OpenMV's tools/haar2c.py converts it; add the .cascade that it writes",
        "partition 0: models are not compiled for a neural processor; OpenMV does that with Vela or ST Edge AI",
    )
    assert "\n# lib/haar/eye.xml is left out: " in table.toml
    assert "\n# The models are not compiled" in table.toml
    assert "board =" not in table.toml
    assert images(table)[""].size == 256 << 10


def test_files_of_one_name_are_reported():
    entries = [{"type": "bin", "path": f"{{TOP}}/{folder}/x.bin"} for folder in ("a", "b")]
    assert imported({"0": {"size": "1000", "entries": entries}}).warnings == (
        "a/x.bin and b/x.bin have the same name in the image",
    )


def test_a_board_without_such_a_partition_is_not_named():
    table = imported({"3": {"size": "0x1000", "entries": []}})
    assert "board" not in table.toml
    assert images(table)[""].partition == 3


def test_the_command_prints_a_table_for_a_file_and_one_document(tmp_path):
    make_project(tmp_path / "boards/OPENMV_N6", {"romfs_config.json": json.dumps({"0": CONFIG["0"]})})
    path = tmp_path / "boards/OPENMV_N6/romfs_config.json"
    ran = romfs_image("import-openmv", path)
    assert loads(ran.stdout)["tool"]["romfs"]["board"] == "OPENMV_N6"
    assert len(ran.stderr.splitlines()) == 2
    assert romfs_image("import-openmv", path, "-q").stderr == ""
    document = json.loads(romfs_image("import-openmv", path, "--json").stdout)
    assert document["toml"] == ran.stdout
    assert document["table"]["sources"][1] == {"path": "drivers/wifi", "include": ["/fw \\[#1\\]\\*.bin"]}
    assert len(document["warnings"]) == 2
    missing = romfs_image("import-openmv", tmp_path / "none", status=2)
    assert missing.stderr == f"error: cannot read {tmp_path / 'none'}: No such file or directory\n"


ENTRY = '"0".entries[0]'
WRONG = [
    ([], "the file: must be an object with a table for each partition"),
    ({}, "the file: must be an object with a table for each partition"),
    ({"x": {}}, '"x": must be the number of a partition, from 0 to 255'),
    ({"256": {}}, '"256": must be the number of a partition, from 0 to 255'),
    ({"0": 1}, '"0": must be a table, not an integer'),
    ({"0": None}, '"0": must be a table'),
    ({"0": {"size": 4096, "entries": []}}, '"0".size: must be a size in hexadecimal digits, such as "0x400000"'),
    ({"0": {"size": "0x0", "entries": []}}, '"0".size: must be a size in hexadecimal digits, such as "0x400000"'),
    ({"0": {"size": "0x10", "entries": {}}}, '"0".entries: must be a list'),
    ({"0": {"size": "0x10", "entries": ["x"]}}, f"{ENTRY}: must be a table, not a string"),
    ({"0": {"size": "0x10", "entries": [{"path": "a"}]}}, f"{ENTRY}.type: must be a text, such as tflite"),
    ({"0": {"size": "0x10", "entries": [{"type": "x"}]}}, f"{ENTRY}.path: must be the path of a file"),
    ({"0": {"size": "0x10", "entries": [MODEL | {"path": "{TOP}/lib/"}]}}, f"{ENTRY}.path: must be the path of a file"),
    ({"0": {"size": "0x10", "entries": [MODEL | {"path": "{BUILD}/x"}]}}, f"{ENTRY}.path: can begin with {{TOP}}"),
    ({"0": {"size": "0x10", "entries": [MODEL | {"path": "a\nb"}]}}, f"{ENTRY}.path: contains characters that are not"),
    (
        {"0": {"size": "0x10", "entries": [MODEL | {"path": "a\ud800"}]}},
        f"{ENTRY}.path: contains characters that are not",
    ),
    ({"0": {"size": "0x10", "entries": [MODEL | {"alignment": 12}]}}, f"{ENTRY}.alignment: must be a power of two"),
    ({"0": {"size": "0x10", "entries": [MODEL | {"alignment": True}]}}, f"{ENTRY}.alignment: must be a power of two"),
    ({"0": {"size": "0x10", "entries": [MODEL | {"enabled": 1}]}}, f"{ENTRY}.enabled: must be true or false"),
]


@pytest.mark.parametrize(("config", "message"), WRONG)
def test_a_mistake_is_reported_with_its_place(config, message):
    with pytest.raises(SettingsError) as caught:
        imported(config)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "Is romfs_config.json a romfs_config.json of OpenMV?"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "romfs_config.json: Expecting property name"),
        (b"\xff", "romfs_config.json: 'utf-8' codec can't decode"),
        (b'{"0": 1, "0": 2}', "romfs_config.json: the key '0' appears twice in one object"),
        (b"[" * 100_000, "romfs_config.json: "),
    ],
)
def test_what_is_not_json_is_one_line(data, message):
    with pytest.raises(SettingsError) as caught:
        import_config(data, "romfs_config.json", "")
    assert caught.value.message.startswith(message)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ENTRIES = st.fixed_dictionaries(
    {"type": st.sampled_from(["tflite", "haar", "bin"]), "path": TEXT.map(lambda text: "{TOP}/" + text)},
    optional={"alignment": st.sampled_from([1, 4, 16, 64]), "optimize": TEXT, "enabled": st.booleans()},
)


@given(st.lists(ENTRIES, max_size=5), TEXT)
@patient
def test_whatever_is_accepted_is_a_valid_table(entries, board):
    try:
        table = imported({"0": {"size": "0x1000", "entries": entries}}, board)
    except SettingsError:
        return
    assert images(table)[""].size == 4096
