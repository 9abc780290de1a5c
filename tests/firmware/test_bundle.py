"""Bundles of every kind, as the command writes, describes, and takes them apart."""

import hashlib
import json
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs import BoardError, ImageError, SettingsError, build, bundle
from hatch_romfs.firmware.binary_info import block_devices
from hatch_romfs.firmware.memory import Segment
from hatch_romfs.settings.boards import boards
from tests.commands import on_a_terminal
from tests.firmware import support
from tests.firmware.support import romfs_image
from tests.projects import make_project
from tests.settings.support import patient


class Kind(NamedTuple):
    """A firmware file, its kind and family, and what must be said to read its partition."""

    name: str
    data: bytes
    kind: str
    family: str | None
    address: int
    options: tuple[str, ...] = ()
    is_found: bool = True


STATED = ("--address", "0x081e0000", "--size", "128K")
STM32 = [(support.STM32, support.code())]
KINDS = [
    Kind("pico.uf2", support.uf2(support.rp2_flash()), "uf2", "rp2040", support.ROMFS[0]),
    Kind("pico.bin", support.rp2_flash(), "bin", "rp2", support.ROMFS[0]),
    Kind("pico.hex", support.intel_hex([(support.FLASH, support.rp2_flash())]), "hex", None, support.ROMFS[0]),
    Kind("esp32.bin", support.esp32(), "esp32", "esp32", 0x1E0000),
    Kind("esp32s3.bin", support.esp32(9, 0, boot=0), "esp32", "esp32s3", 0x1E0000),
    Kind("stm32.hex", support.intel_hex(STM32), "hex", None, 0x081E0000, STATED),
    Kind("stm32.srec", support.srec(STM32), "srec", None, 0x081E0000, STATED),
    Kind("stm32.dfu", support.dfuse({0: STM32}), "dfu", None, 0x081E0000, STATED),
    Kind(
        "stm32.bin", support.code(), "bin", None, 0x081E0000, (*STATED, "--base-address", "0x08000000"), is_found=False
    ),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request, tmp_path):
    (tmp_path / request.param.name).write_bytes(request.param.data)
    return request.param


def test_a_bundle_of_every_kind_returns_the_image(kind, image, tmp_path):
    out = tmp_path / f"out-{kind.name}"
    done = romfs_image("bundle", tmp_path / kind.name, image, "-o", out, *kind.options, "--json")
    written = json.loads(done.stdout)
    assert written["images"] == [{"path": str(image), "partition": 0, "address": kind.address}]
    assert (written["kind"], written["family"], written["size"]) == (kind.kind, kind.family, out.stat().st_size)
    assert written["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    said = () if kind.is_found else kind.options
    document = json.loads(romfs_image("info", out, *said, "--json").stdout)
    assert (document["kind"], document["family"]) == (kind.kind, kind.family)
    (partition,) = document["partitions"]
    assert partition["address"] == kind.address
    assert partition["content"]["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert document["supports_romfs"] is True
    romfs_image("extract", out, *said, "-o", tmp_path / "again.romfs")
    assert (tmp_path / "again.romfs").read_bytes() == image.read_bytes()
    assert "it is the same as" in romfs_image("verify", out, *said, "--against", image).stdout
    assert "app.mpy" in romfs_image("tree", out, *said).stdout
    assert len(romfs_image("cat", out, *said, "data.bin", "--json").stdout) > 9001


def test_a_second_image_replaces_the_first_and_nothing_of_it_is_left(kind, image, tmp_path):
    small = build(make_project(tmp_path / "small", {"a.txt": b"small"}), tmp_path / "small.romfs").path
    base = 0x08000000 if kind.name == "stm32.bin" else None
    options = {"partitions": [support.STM32_ROMFS] if kind.options else [], "base_address": base}
    bundle(tmp_path / kind.name, [small], tmp_path / "direct", **options)
    bundle(tmp_path / kind.name, [image], tmp_path / "first", **options)
    bundle(tmp_path / "first", [small], tmp_path / "second", **options)
    bundle(tmp_path / "second", [image], tmp_path / "third", **options)
    assert (tmp_path / "third").read_bytes() == (tmp_path / "first").read_bytes()
    if kind.kind not in ("bin", "esp32"):  # these cannot become shorter
        assert (tmp_path / "second").read_bytes() == (tmp_path / "direct").read_bytes()


def test_info_is_one_line_for_each_fact_on_a_terminal(image, tmp_path):
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    romfs_image("bundle", tmp_path / "pico.uf2", image, "-o", tmp_path / "out.uf2")
    lines = on_a_terminal("info", tmp_path / "out.uf2").split("\r\n")
    assert lines[:3] == ["kind:        uf2", "family:      rp2040", "content:     0x10000000-0x10009000  36,864 bytes"]
    share = f"{image.stat().st_size:,} bytes, {image.stat().st_size / 0x80000:.1%}"
    assert lines[4:8] == [
        "partition 0: 0x10100000-0x10180000  524,288 bytes",
        "  name:      ROMFS, from: binary info",
        f"  image:     {share}",
        f"  sha256:    {hashlib.sha256(image.read_bytes()).hexdigest()}",
    ]
    assert max(map(len, lines)) < 80


def test_a_file_for_a_partition_gets_its_place_from_firmware(image, tmp_path):
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    romfs_image("build", image, "--emit", "uf2", "--firmware", tmp_path / "pico.uf2", "-o", tmp_path / "image.uf2")
    document = json.loads(romfs_image("info", tmp_path / "image.uf2", "--json").stdout)
    size = -(-image.stat().st_size // 4096) * 4096
    assert document["ranges"] == [{"address": support.ROMFS[0], "size": size}]
    assert document["family"] == "rp2040"
    wrong = ("build", image, "--emit", "uf2", "--firmware", tmp_path / "pico.uf2", "-o", tmp_path / "image.uf2")
    said = romfs_image(*wrong, "--family", "rp2350-arm-s", status=2).stderr
    assert "--family says 0xe48bff59, but" in said


def test_a_file_for_a_partition_gets_its_place_from_the_board_of_the_project(tmp_path):
    root = make_project(
        tmp_path / "x",
        {
            "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n[tool.romfs]\nboard = "OPENMV4"\n',
            "src/a.txt": b"a",
        },
    )
    romfs_image("build", root, "--emit", "hex", "-o", tmp_path / "x.hex")
    document = json.loads(romfs_image("info", tmp_path / "x.hex", "--json").stdout)
    assert document["ranges"][0]["address"] == 0x081E0000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--emit", "uf2", "--address", "0x10100000"), "a UF2 file needs the family of the chip"),
        (("--emit", "hex"), "the address of the partition is not known"),
        (("--emit", "dfu", "--family", "rp2040"), "--family needs --emit uf2"),
        (("--address", "0x1000"), "--address needs --emit uf2, hex, or dfu"),
        (("--emit", "uf2", "--symbol", "x"), "--symbol needs --emit c"),
        (("--emit", "uf2", "--family", "rp2040", "--address", "0x10100100"), "is not the start of a sector"),
        (("--emit", "hex", "--address", "x"), "must be a number of 32 bits such as 0x10100000, not 'x'"),
    ],
)
def test_options_of_a_file_for_a_partition_that_do_not_fit_are_explained(options, message, image, tmp_path):
    assert message in romfs_image("build", image, *options, "-o", tmp_path / "out", status=2).stderr
    assert not (tmp_path / "out").exists()


def refuse(tmp_path, image, data, error, message, **options):
    (tmp_path / "firmware").write_bytes(data)
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(error, match=message) as caught:
        bundle(tmp_path / "firmware", [image], tmp_path / "out", **options)
    assert (tmp_path / "out").read_bytes() == b""
    return caught.value


def test_firmware_without_a_partition_is_refused_with_how_to_build_one(image, tmp_path):
    stock = support.uf2(support.rp2_flash(romfs=None))
    error = refuse(tmp_path, image, stock, BoardError, "the firmware declares no ROMFS partition")
    assert error.hint.startswith("Build MicroPython with -DMICROPY_HW_ROMFS_BYTES=524288")
    assert error.status == 5


def test_firmware_without_a_declaration_takes_the_address_of_the_user(image, tmp_path):
    (tmp_path / "old.uf2").write_bytes(support.uf2(support.rp2_flash(romfs=None)))
    bundle(tmp_path / "old.uf2", [image], tmp_path / "out.uf2", partitions=[support.ROMFS])
    (tmp_path / "new.uf2").write_bytes(support.uf2(support.rp2_flash()))
    bundle(tmp_path / "new.uf2", [image], tmp_path / "same.uf2", partitions=[support.ROMFS])


def test_an_address_that_contradicts_the_firmware_is_refused(image, tmp_path):
    refuse(
        tmp_path,
        image,
        support.uf2(support.rp2_flash()),
        SettingsError,
        "--address says that the ROMFS partition is at 0x10080000-0x10100000, but the firmware itself",
        partitions=[(support.FLASH + 0x80000, 0x80000)],
    )


def test_an_image_that_is_too_large_is_refused(image, tmp_path):
    flash = support.rp2_flash(romfs=(support.ROMFS[0], 0x2000))
    size = image.stat().st_size
    message = f"the image is {size:,} bytes, {size - 8192:,} more than the 8,192 of the partition at 0x10100000"
    refuse(tmp_path, image, support.uf2(flash), BoardError, message)


def test_a_partition_inside_the_firmware_is_refused(image, tmp_path):
    flash = support.rp2_flash(romfs=(support.FLASH + 0x8000, 0x10000))
    refuse(
        tmp_path, image, support.uf2(flash), BoardError, "the partition at 0x10008000-0x10018000 overlaps the firmware"
    )


def test_more_images_than_partitions_are_refused(image, tmp_path):
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    with pytest.raises(BoardError, match="the firmware has only partition 0, not 1"):
        bundle(tmp_path / "pico.uf2", [image, image], tmp_path / "out")


def test_several_images_go_to_the_partitions_of_a_board(image, tmp_path):
    (tmp_path / "alif.hex").write_bytes(support.intel_hex([(0x80000000, support.code())]))
    other = build(make_project(tmp_path / "x", {"a.txt": b"1"}), tmp_path / "other.romfs").path
    out = tmp_path / "out.hex"
    romfs_image("bundle", tmp_path / "alif.hex", image, other, "-o", out, "--board", "OPENMV_AE3")
    for number, path in enumerate((image, other)):
        romfs_image("verify", out, "--board", "OPENMV_AE3", "--partition", number, "--against", path)
    assert "has images at 0xa0800000, 0x8047e000" in romfs_image("tree", out, "--board", "OPENMV_AE3", status=2).stderr
    same = romfs_image("verify", out, "--board", "OPENMV_AE3", "--partition", 0, "--against", other, status=6)
    assert "is not the same as" in same.stderr


def test_a_board_and_addresses_are_not_both_accepted(image, tmp_path):
    (tmp_path / "stm32.hex").write_bytes(support.intel_hex(STM32))
    for words in (("info", tmp_path / "stm32.hex"), ("bundle", tmp_path / "stm32.hex", image, "-o", tmp_path / "out")):
        said = romfs_image(*words, *STATED, "--board", "OPENMV4", status=2).stderr
        assert said == "the partitions come from either addresses or a board, not both"
    said = romfs_image("info", tmp_path / "stm32.hex", "--address", "0x0", status=2).stderr
    assert said == "each --address needs the --size of its partition, and the other way round"


def test_only_boards_with_known_addresses_can_be_named(image, tmp_path):
    assert sum(None not in facts.places for facts in boards().values()) == 11
    hex_file = support.intel_hex(STM32)
    refuse(tmp_path, image, hex_file, SettingsError, "the address of the ROMFS partition of PYBD_SF2", board="PYBD_SF2")
    refuse(tmp_path, image, hex_file, SettingsError, "the board must be a board that is known", board="PICO")


@pytest.mark.parametrize("data", [b"", b"hello", b"\xe9", bytes(100000), b"UF2\nWQ]\x9e", b":", b"S0", b"DfuSe"])
def test_what_is_not_firmware_is_refused(data, image, tmp_path):
    refuse(tmp_path, image, data, ImageError, "is not firmware of a known kind|block 0 is|not a valid|cut short")


def test_a_missing_file_and_a_folder_are_reported(image, tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SettingsError, match=f"cannot read {path}"):
            bundle(path, [image], tmp_path / "out")


def test_only_an_older_bundle_is_overwritten(kind, image, tmp_path):
    firmware, out = tmp_path / kind.name, tmp_path / "out"
    romfs_image("bundle", firmware, image, "-o", out, *kind.options)
    romfs_image("bundle", firmware, image, "-o", out, *kind.options)
    copy = tmp_path / "copy"
    for content in (kind.data, b"something else", image.read_bytes()):
        copy.write_bytes(content)
        said = romfs_image("bundle", firmware, image, "-o", copy, *kind.options, status=2).stderr
        assert "already exists and is not firmware with a ROMFS image in this place" in said
        assert copy.read_bytes() == content
    said = romfs_image("bundle", firmware, image, "-o", firmware, *kind.options, status=2).stderr
    assert "is the firmware itself, which stays as it is" in said
    assert firmware.read_bytes() == kind.data


def test_the_map_of_a_bundle_is_that_of_its_image_and_partition(image, tmp_path):
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    bundle(tmp_path / "pico.uf2", [image], tmp_path / "out.uf2")
    of_bundle = json.loads(romfs_image("map", tmp_path / "out.uf2", "--json").stdout)
    of_image = json.loads(romfs_image("map", image, "--partition-size", "512 KiB", "--json").stdout)
    differences = {key for key in of_image if of_image[key] != of_bundle[key]}
    assert differences <= {"path", "source", "origin", "image"}
    assert "524,288" in romfs_image("map", tmp_path / "out.uf2").stdout.replace("512 KiB", "524,288")
    romfs_image("diff", tmp_path / "out.uf2", image)


def test_a_damaged_image_in_firmware_is_reported(image, tmp_path):
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    bundle(tmp_path / "pico.uf2", [image], tmp_path / "out.uf2")
    data = bytearray((tmp_path / "out.uf2").read_bytes())
    data[-3 * 512 * 16 + 512 + 40] ^= 1
    (tmp_path / "out.uf2").write_bytes(data)
    for command in ("info", "verify", "extract"):
        said = romfs_image(command, tmp_path / "out.uf2", status=3).stderr
        assert "the image in the partition ROMFS" in said or "out.uf2, partition ROMFS" in said
        assert "the content does not match the SHA-256 in the image" in said
    assert not list(tmp_path.glob("*.romfs"))


def test_a_partition_with_something_else_is_described_and_not_overwritten(image, tmp_path):
    flash = support.rp2_flash().ljust(0x100000, b"\xff") + b"something else"
    (tmp_path / "pico.bin").write_bytes(flash)
    assert "not a ROMFS image" in romfs_image("info", tmp_path / "pico.bin").stdout
    assert "contains no ROMFS image" in romfs_image("extract", tmp_path / "pico.bin", status=5).stderr
    refuse(tmp_path, image, flash, BoardError, "contains something else than an image")


def test_picotool_reads_a_bundle(image, tmp_path):
    """No package registry has picotool, so this runs only where somebody has built it."""
    if shutil.which("picotool") is None:
        pytest.skip("picotool is not on this machine, and cannot be installed from a package registry")
    for chip, family in (("rp2040", support.RP2040), ("rp2350", support.RP2350)):
        (tmp_path / "in.uf2").write_bytes(support.uf2(support.rp2_flash(chip), family=family))
        bundle(tmp_path / "in.uf2", [image], tmp_path / f"{chip}.uf2")
        command = ["picotool", "info", "-a", tmp_path / f"{chip}.uf2"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "embedded drive:  0x10100000-0x10180000 (512K): ROMFS" in said


def test_partitions_that_overlap_one_another_or_the_filesystem_are_refused(image, tmp_path):
    (tmp_path / "stm32.hex").write_bytes(support.intel_hex(STM32))
    overlapping = [(0x081E0000, 0x20000), (0x081F0000, 0x10000)]
    with pytest.raises(SettingsError, match="the partitions at 0x81e0000-0x8200000 and 0x81f0000-0x8200000 overlap"):
        bundle(tmp_path / "stm32.hex", [image, image], tmp_path / "out", partitions=overlapping)
    stock = support.uf2(support.rp2_flash(romfs=None))
    message = "the partition at 0x101c0000-0x10200000 overlaps the writable filesystem at 0x10180000-0x10200000"
    refuse(tmp_path, image, stock, BoardError, message, partitions=[(support.FLASH + 0x1C0000, 0x40000)])


def test_records_need_the_extra(image, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bincopy", None)
    error = refuse(tmp_path, image, support.intel_hex(STM32), SettingsError, "need the package bincopy")
    assert error.hint == "pip install 'hatch-romfs[bundle]'"
    (tmp_path / "pico.uf2").write_bytes(KINDS[0].data)
    bundle(tmp_path / "pico.uf2", [image], tmp_path / "out.uf2")


def test_binary_info_that_makes_no_sense_is_ignored():
    """Pointers out of the file, a table that never ends, names without an end: nothing is found, and nothing hangs."""
    flash = bytearray(support.rp2_flash())
    header = support.CHIPS["rp2040"].header
    for at in range(4, 16, 4):
        for value in (0, 0xFFFFFFFF, 0x10000000, 0x10008FFF, 0x20000000):
            broken = bytearray(flash)
            broken[header + at : header + at + 4] = value.to_bytes(4, "little")
            devices = block_devices((Segment(support.FLASH, bytes(broken)),))
            assert devices is not None
    assert block_devices((Segment(support.FLASH, bytes(1000)),)) is None
    assert [device.name for device in block_devices((Segment(support.FLASH, bytes(flash)),))] == [
        "MicroPython",
        "ROMFS",
    ]


@patient
@given(st.integers(0x5F00, 0x6200), st.binary(max_size=64), st.binary(max_size=20))
def test_any_binary_info_is_read_without_an_error(at, noise, header):
    flash = bytearray(support.rp2_flash(in_ram=True))
    flash[at : at + len(noise)] = noise
    start = support.CHIPS["rp2040"].header + 4
    flash[start : start + len(header)] = header
    for device in block_devices((Segment(support.FLASH, bytes(flash)),)) or ():
        assert support.FLASH <= device.range.address <= device.range.end <= support.FLASH + (32 << 20)
