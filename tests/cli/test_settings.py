"""``romfs-image settings``: the reference for people without the repository."""

import json

import pytest

from hatch_romfs.settings.reference import all_keys, page
from tests.commands import romfs_image
from tests.test_public import KEYS


def test_without_a_key_the_whole_reference_is_printed():
    assert romfs_image("settings").stdout == page()


def test_the_whole_reference_as_json_has_every_key():
    document = json.loads(romfs_image("settings", "--json").stdout)
    assert {entry["key"] for entry in document["keys"]} == KEYS
    assert [entry["key"] for entry in document["keys"]] == [reference.path for reference in all_keys()]


def test_one_key_is_described():
    assert romfs_image("settings", "mpy.optimize").stdout == (
        "mpy.optimize\n  type:    an integer from 0 to 3\n  default: 0\n"
        "  The `-O` level: 1 removes asserts, 3 also line numbers.\n"
    )
    assert json.loads(romfs_image("settings", "size", "--json").stdout) == {
        "keys": [
            {
                "key": "size",
                "type": 'an integer from 1 to 4294967295, or a size such as "128 KiB"',
                "required": False,
                "default": None,
                "meaning": "The size of the partition, in bytes or such as `128 KiB`."
                " If the image is too large, the build fails.",
            }
        ]
    }


def test_a_table_is_described_with_its_keys():
    shown = romfs_image("settings", "linux").stdout
    assert [line for line in shown.splitlines() if line.startswith("linux")] == [
        f"linux{name}" for name in ("", ".volume", ".follow-symlinks", ".executable", ".devices", ".fifos", ".sockets")
    ]


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("tool.romfs.mpy.arch", "mpy.arch"),
        ("tool.romfs.sources[0].path", "sources.path"),
        ("sources.image.mpy.emit", "sources.image.mpy.emit"),
        ("manifest[1].variables", "manifest.variables"),
        ("tool.romfs.images.code.size", "size"),
    ],
)
def test_a_key_can_be_written_as_in_messages(key, first):
    assert romfs_image("settings", key).stdout.splitlines()[0] == first


def test_boards_are_listed_with_their_key():
    assert "\nBoards: OPENMV_N6, OPENMV_AE3, " in romfs_image("settings", "board").stdout


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("alingment", "there is no key 'alingment'; did you mean 'alignment'?"),
        ("mpy.archs", "there is no key 'archs' in mpy; did you mean 'arch'?"),
        ("size.x", "there is no key 'x' in size"),
    ],
)
def test_an_unknown_key_is_an_error_that_suggests_another(key, message):
    error = romfs_image("settings", key, status=2).stderr
    assert error == f"error: {message}\n`romfs-image settings` lists every key.\n"
