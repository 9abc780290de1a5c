"""Boards by name: the data file, what a table gets from it, and images that are too large for a board."""

import subprocess
import sys
import zipfile

import jsonschema
import pytest

from hatch_romfs import BuildError, build, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.ports import ROMFS_SETTINGS, WITHOUT_ROMFS
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.settings.values import ARCHS, Alignment
from hatch_romfs.tree import Directory, DiskContent, File
from romfs_manifest.shared.toml import loads
from tests.judges import REPO
from tests.settings.support import problems_of, settings_of

DOCUMENT = loads((REPO / "hatch_romfs" / "settings" / "boards.toml").read_text(encoding="utf-8"))
PARTITIONS = [(name, number) for name, known in boards().items() for number in range(len(known.partitions))]
SIZE_NOT_KNOWN = {
    ("PYBD_SF6", 0),
    ("GARATRONIC_PYMATE_CORE8ADI8DOSC", 0),
    ("ALIF_ENSEMBLE", 1),
    ("ESP8266_GENERIC-FLASH_2M_ROMFS", 0),
}


def closed(required, **properties):
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


TEXT = {"type": "string", "minLength": 3}
SCHEMA = closed(
    ["group"],
    group={
        "type": "array",
        "items": closed(
            ["cited", "boards"],
            cited=closed(["partitions"], partitions=TEXT, mcu=TEXT, arch=TEXT, alignment=TEXT),
            boards={
                "type": "object",
                "propertyNames": {"pattern": "^[A-Z0-9_]+(-[A-Z0-9_]+)?$"},
                "additionalProperties": closed(
                    ["partitions"],
                    partitions={
                        "type": "array",
                        "minItems": 1,
                        "items": closed(
                            [],
                            address={"type": "string", "pattern": "^0x[0-9a-f]{8}$"},
                            size={"type": "string", "pattern": "^[1-9][0-9]* (KiB|MiB)$"},
                        ),
                    },
                    mcu=TEXT,
                    arch={"enum": list(ARCHS)},
                    alignment={
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {"enum": [1 << power for power in range(2, 21)]},
                    },
                ),
            },
        ),
    },
)


def test_the_data_file_has_only_known_keys():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(DOCUMENT, SCHEMA)


def test_every_fact_is_cited_and_every_citation_is_of_a_fact():
    for group in DOCUMENT["group"]:
        assert set(group["cited"]) == {fact for facts in group["boards"].values() for fact in facts}


def test_no_board_is_there_twice():
    names = [name for group in DOCUMENT["group"] for name in group["boards"]]
    assert sorted(names) == sorted(set(names)) == sorted(boards())
    assert len(names) >= 30


def test_the_wheel_has_it(wheelhouse):
    (wheel,) = wheelhouse.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert loads(archive.read("hatch_romfs/settings/boards.toml").decode()) == DOCUMENT


def test_only_a_table_that_names_a_board_reads_it():
    code = (
        "import sys; from hatch_romfs.settings.project import read_settings\n"
        "for table in ({'size': 4}, {'board': 'OPENMV2'}):\n"
        "    read_settings(table); print('hatch_romfs.settings.boards' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


# What a table gets from it


@pytest.mark.parametrize(("name", "number"), PARTITIONS)
def test_what_a_board_sets(name, number):
    known = boards()[name]
    settings = settings_of({"board": name, "partition": number})
    assert settings == Settings(
        board=name,
        partition=number,
        mpy=Mpy(arch=known.arch),
        alignment=Alignment(1, tuple(known.alignment.items())),
        size=known.sizes[number],
    )


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        ({}, {}),
        ({"partition": 1}, {"partition": 1, "size": 1 << 20}),
        ({"size": 7}, {"size": 7}),
        ({"size": "2 KiB", "partition": 1}, {"size": 2048, "partition": 1}),
        ({"mpy": True}, {}),
        ({"mpy": False}, {"mpy": None}),
        ({"mpy": {}}, {}),
        ({"mpy": {"optimize": 3}}, {"mpy": Mpy("armv7emsp", optimize=3)}),
        ({"mpy": {"arch": "armv7emdp"}}, {"mpy": Mpy("armv7emdp")}),
        ({"mpy": {"emit": "native"}}, {"mpy": Mpy("armv7emsp", emit="native")}),
        ({"alignment": {}}, {}),
        ({"alignment": 4}, {"alignment": Alignment(4, (("*.tflite", 16),))}),
        ({"alignment": {"default": 4}}, {"alignment": Alignment(4, (("*.tflite", 16),))}),
        ({"alignment": {"*.tflite": 4}}, {"alignment": Alignment(1, (("*.tflite", 4),))}),
        ({"alignment": {"*.bin": 8}}, {"alignment": Alignment(1, (("*.tflite", 16), ("*.bin", 8)))}),
        # A boundary for all files is for models too: a pattern would win from it.
        ({"alignment": 64}, {"alignment": Alignment(64)}),
        ({"alignment": {"default": 16}}, {"alignment": Alignment(16)}),
    ],
)
def test_what_the_table_says_wins(table, changed):
    whole = {
        "board": "OPENMV_AE3",
        "size": 24 << 20,
        "mpy": Mpy("armv7emsp"),
        "alignment": Alignment(1, (("*.tflite", 16),)),
    }
    given = {"board": "OPENMV_AE3"} | table
    before = repr(given)
    assert settings_of(given) == Settings(**(whole | changed))
    assert repr(given) == before


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("OPENMV_N7", "did you mean 'OPENMV_N6' or "),
        ("openmv_n6", "did you mean 'OPENMV_N6' or "),
        ("OpenMV4", "did you mean 'OPENMV4' or 'OPENMV4P' or 'OPENMV3'?"),
        ("arduino-giga", "did you mean 'ARDUINO_GIGA'"),
        ("PYBD", "did you mean 'PYBD_SF6' or 'PYBD_SF2'?"),
        ("", "'romfs-image settings board' lists them"),
        ("zzz", "'romfs-image settings board' lists them"),
    ],
)
def test_an_unknown_board(name, suggested):
    (problem,) = problems_of({"board": name})
    start = f"tool.romfs.board: must be a board that is known to have a ROMFS partition, not {name!r}; {suggested}"
    assert problem.startswith(start)


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("RPI_PICO", "rp2"),
        ("ARDUINO_NANO_RP2040_CONNECT", "rp2"),
        ("ESP32_GENERIC_S3", "esp32"),
        ("ESP8266_GENERIC", "esp8266"),
    ],
)
def test_a_board_whose_firmware_has_no_romfs_gets_the_setting_of_its_port(name, port):
    (problem,) = problems_of({"board": name})
    advice = f"; firmware for {port} usually has no ROMFS: {ROMFS_SETTINGS[port]}; {WITHOUT_ROMFS}"
    assert problem.endswith(advice)


def test_all_mistakes_of_a_table_with_a_board_are_reported():
    table = {"board": "OPENMV_N6", "partition": -1, "alignment": {"*.a": 3}, "mpy": {"optimize": 4}, "size": 0}
    assert {line.partition(":")[0] for line in problems_of(table)} == {
        'tool.romfs.alignment."*.a"',
        "tool.romfs.mpy.optimize",
        "tool.romfs.partition",
        "tool.romfs.size",
    }


@pytest.mark.parametrize("wrong", [{"alignment": "4"}, {"alignment": {"default": "4"}}, {"mpy": 1}, {"mpy": "yes"}])
def test_what_is_wrong_without_a_board_is_as_wrong_with_one(wrong):
    assert problems_of(wrong) == problems_of({"board": "OPENMV_N6"} | wrong)


@pytest.mark.parametrize("name", boards())
def test_a_partition_that_a_board_has_not(name):
    count = len(boards()[name].partitions)
    has = "partition 0" if count == 1 else f"partitions 0 to {count - 1}"
    for number in (count, 255):
        problem = f"tool.romfs.partition: {name} has only {has}, not {number}"
        assert problems_of({"board": name, "partition": number}) == [problem]


def test_no_board_mounts_linux_s():
    assert problems_of({"board": "OPENMV_N6", "format": "linux"}) == [
        'tool.romfs.board: is only for format = "micropython"'
    ]


# Images


def project_for(root, table, **contents):
    (root / "src").mkdir(exist_ok=True)
    lines = ["[project]", 'name = "app"', 'version = "1.0"', "[tool.romfs]", "metadata = false", *table]
    (root / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    for name, data in contents.items():
        (root / "src" / name).write_bytes(data)
    return root


def largest(limit):
    """Return the bytes of a file whose image is just not over ``limit``."""

    def fits(size):
        return lay_out(Directory({"data": File(DiskContent("", size, 0), "")})).size <= limit

    return max(size for size in range(limit - 64, limit) if fits(size))


@pytest.mark.parametrize(("name", "number"), [one for one in PARTITIONS if one not in SIZE_NOT_KNOWN])
def test_an_image_that_is_one_byte_too_large_for_a_board_fails(name, number, tmp_path):
    limit = boards()[name].sizes[number]
    project = project_for(tmp_path, [f'board = "{name}"', f"partition = {number}"], data=b"")
    with (project / "src" / "data").open("wb") as file:
        file.truncate(largest(limit))
    built = build(project)
    assert (built.size, built.limit, built.board, built.partition, built.warnings) == (limit, limit, name, number, ())
    with (project / "src" / "data").open("r+b") as file:
        file.truncate(largest(limit) + 1)
    built.path.unlink()
    with pytest.raises(BuildError) as caught:
        build(project)
    said = f"the image is {limit + 2:,} bytes, 2 more than the {limit:,} of partition {number} of {name}; "
    assert caught.value.message.startswith(said)
    assert not built.path.exists()


@pytest.mark.parametrize(("name", "number"), sorted(SIZE_NOT_KNOWN))
def test_where_no_size_is_known_the_table_s_counts(name, number, tmp_path):
    assert boards()[name].sizes[number] is None
    table = [f'board = "{name}"', f"partition = {number}"]
    assert build(project_for(tmp_path, table, data=bytes(100))).limit is None
    with pytest.raises(BuildError, match=r"more than the 64 of tool\.romfs\.size; "):
        build(project_for(tmp_path, [*table, "size = 64"]))


def test_the_table_s_own_limit_is_not_called_the_board_s(tmp_path):
    with pytest.raises(BuildError, match=r"more than the 64 of tool\.romfs\.size; "):
        build(project_for(tmp_path, ['board = "OPENMV2"', "size = 64"], data=bytes(100)))


def test_models_are_aligned_without_a_warning_that_there_are_none(tmp_path):
    project = project_for(tmp_path, ['board = "OPENMV_N6"'], a=b"x", b=b"y" * 33)
    assert build(project).warnings == ()
    (project / "src" / "model.tflite").write_bytes(b"model" * 9)
    built = build(project)
    with open_image(built.path) as image:
        assert image_content(image.file("model.tflite")).offset % 32 == 0
    own = project_for(tmp_path, ['board = "OPENMV_N6"', 'alignment = { "*.bin" = 4 }'])
    (project / "src" / "model.tflite").unlink()
    assert build(own).warnings == ('no file in the image matches tool.romfs.alignment."*.bin"',)


def test_bytecode_is_the_same_for_every_board_and_native_code_the_board_s(tmp_path):
    project = project_for(tmp_path, [], **{"m.py": b"def f(x):\n    return x * 1000000007 + len('abc')\n"})
    plain = build(project).sha256
    assert {build(project_for(tmp_path, [f'board = "{name}"'])).sha256 for name in boards()} == {plain}
    project_for(tmp_path, ['board = "OPENMV2"'], **{"m.py": b"@micropython.native\ndef f(x):\n    return x + 1\n"})
    by_name = build(project)
    assert by_name.sha256 == build(project_for(tmp_path, ['mpy = { arch = "armv7emsp" }'])).sha256
    with pytest.raises(BuildError, match="invalid arch"):
        build(project_for(tmp_path, []))
