"""Images inside a dump of a flash memory are found, and can be inspected where they are."""

import json

import pytest

from hatch_romfs.images.scan import scan
from hatch_romfs.tree import CHUNK
from tests.commands import romfs_image
from tests.content import checked_build as build
from tests.projects import make_project


@pytest.fixture
def dump(tmp_path, image):
    """A dump with a wrong start, an image of each format, one across the border of a chunk, and data after it."""
    linux = build(make_project(tmp_path / "linux", {"a": "b"}), overrides={"format": "linux"}).path
    data = bytearray(b"\xff" * (CHUNK + 8192))
    for offset, content in (
        (16, b"\xd2\xcd\x31\x05xy"), (4096, image.read_bytes()), (65536, linux.read_bytes()),
        (CHUNK - 2, image.read_bytes()),
    ):  # fmt: skip
        data[offset : offset + len(content)] = content
        data[offset + len(content) : offset + len(content) + 4] = b"more"
    path = tmp_path / "dump.bin"
    path.write_bytes(data)
    return path


def test_all_images_of_a_dump_are_found(dump, image):
    found = list(scan(dump))
    assert [(one.offset, one.format) for one in found] == [
        (4096, "micropython"),
        (65536, "linux"),
        (CHUNK - 2, "micropython"),
    ]
    assert found[0].size == found[2].size == image.stat().st_size
    assert found[0].name == "My.app"


def test_the_command_lists_them(dump):
    assert romfs_image("scan", dump).stdout.splitlines()[0].split()[::2] == ["0x00001000", "micropython", "1.2.3rc1"]
    assert next(one["offset"] for one in json.loads(romfs_image("scan", dump, "--json").stdout)["images"]) == 4096


def test_an_image_is_inspected_at_its_offset(dump, image, tmp_path):
    at = ("--offset", "0x1000")
    expected = json.loads(romfs_image("info", image, "--json").stdout)
    assert json.loads(romfs_image("info", dump, *at, "--json").stdout) == expected
    assert romfs_image("tree", dump, *at).stdout == romfs_image("tree", image).stdout
    assert romfs_image("cat", dump, "util.mpy", *at, status=2).stderr
    romfs_image("verify", dump, *at)
    romfs_image("extract", dump, *at, "-o", tmp_path / "out")


def test_a_file_without_images_fails(tmp_path):
    (tmp_path / "none").write_bytes(bytes(1000))
    assert "contains no valid image" in romfs_image("scan", tmp_path / "none", status=3).stderr


def test_a_wrong_offset_is_refused(dump):
    romfs_image("info", dump, "--offset", "-1", status=2)
    romfs_image("info", dump, "--offset", "0", status=3)
