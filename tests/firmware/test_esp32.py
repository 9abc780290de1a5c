"""ESP32 firmware: what esptool, esp-idf-defs, and mp-image-tool-esp32 find in a bundle."""

import hashlib
import re
import struct
import subprocess

import pytest
from esp_idf_defs.partitions import PartitionTable
from hypothesis import given
from hypothesis import strategies as st
from mp_image_tool_esp32.partition_table import PartitionTable as PeerTable

from hatch_romfs import BoardError, ImageError, SettingsError, bundle
from hatch_romfs.firmware import esp32, partition_table
from hatch_romfs.firmware.files import read_firmware
from tests import judges
from tests.firmware import support
from tests.settings.support import patient

MERGED = {
    "esp32": support.esp32(),
    "esp32 from 0": b"\xff" * 0x1000 + support.esp32(),
    "esp32s2": support.esp32(2),
    "esp32s3": support.esp32(9, 0, boot=0),
    "esp32c3": support.esp32(5, 0, boot=0),
    "esp32p4": support.esp32(18, 0x2000, boot=0x2000),
    "esp32c5 from 0": b"\xff" * 0x2000 + support.esp32(23, 0x2000, boot=0x2000),
}
BASES = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32p4": 0x2000}


def tables(data, base):
    """Return the table as Espressif's reader and as a peer's see it; both check the MD5."""
    raw = data[0x8000 - base : 0x8C00 - base]
    theirs = PartitionTable.from_binary(raw)
    theirs.verify(0x8000)
    fields = [(part.name, part.type, part.subtype, part.offset, part.size) for part in theirs]
    peer = PeerTable.from_bytes(raw, 4 << 20)
    assert [(part.name, part.type, part.subtype, part.offset, part.size) for part in peer] == fields
    return fields


def written(tmp_path, data, image, **options):
    (tmp_path / "firmware.bin").write_bytes(data)
    result = bundle(tmp_path / "firmware.bin", [image], tmp_path / "out.bin", **options)
    return result, (tmp_path / "out.bin").read_bytes()


@pytest.mark.parametrize("case", MERGED)
def test_a_bundle_is_the_firmware_and_the_image_at_its_offset(case, image, tmp_path):
    data, base = MERGED[case], BASES.get(case, 0)
    result, out = written(tmp_path, data, image)
    assert (result.kind, result.family, result.base_address) == ("esp32", case.split()[0], base)
    at = 0x1E0000 - base
    assert out[: len(data)] == data
    assert not out[len(data) : at].strip(b"\xff")
    assert out[at:] == image.read_bytes()
    assert tables(out, base) == tables(data, base)


@pytest.mark.parametrize("case", ["esp32", "esp32s3"])
def test_esptool_still_accepts_the_boot_loader_and_the_application(case, image, tmp_path):
    _, out = written(tmp_path, MERGED[case], image, erase_fs=True)
    app = support.esp_image({"esp32": 0, "esp32s3": 9}[case])
    start = 0x10000 - BASES.get(case, 0)
    assert out[start : start + len(app)] == app
    (tmp_path / "app.bin").write_bytes(out[start : start + len(app)])
    for name in ("out.bin", "app.bin"):
        command = [judges.command("esptool"), "image-info", tmp_path / name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"Checksum: 0x[0-9a-f]+ \(valid\)", done.stdout)


def test_mp_image_tool_esp32_reads_a_bundle(image, tmp_path):
    written(tmp_path, support.esp32(csv=support.CSV), image, add_partition=0x20000)
    command = [judges.command("mp-image-tool-esp32"), tmp_path / "out.bin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Found esp32 firmware file (4MB flash)" in done.stdout
    assert re.search(r"romfs +│ data │ 143 +│ 0x1e0000 │ +0x20000 │ 0x200000", done.stdout)


def test_a_partition_is_added_in_free_flash_after_the_last_one(image, tmp_path):
    data = support.esp32(csv=support.CSV)
    result, out = written(tmp_path, data, image, add_partition=0x20000)
    assert tables(out, 0x1000) == [*tables(data, 0x1000), ("romfs", 1, 0x8F, 0x1E0000, 0x20000)]
    (warning,) = result.warnings
    assert warning.startswith("the filesystem is now at 0x200000-0x400000 instead of 0x1e0000-0x400000: a board that")
    assert written(tmp_path, data, image, add_partition=0x20000, erase_fs=True)[0].warnings == ()


def test_a_partition_is_added_in_a_gap_and_then_no_other_changes(image, tmp_path):
    data = support.esp32(csv=support.CSV + support.VFS_CSV)
    result, out = written(tmp_path, data, image, add_partition=0x20000)
    *before, vfs = tables(data, 0x1000)
    assert tables(out, 0x1000) == [*before, ("romfs", 1, 0x8F, 0x1E0000, 0x20000), vfs]
    assert result.warnings == ()


def test_a_partition_is_taken_from_the_end_of_the_filesystem_if_no_flash_is_free(image, tmp_path):
    vfs = "vfs, data, fat, 0x1E0000, 0x220000,\n"
    _, out = written(tmp_path, support.esp32(csv=support.CSV + vfs), image, add_partition=0x100000)
    assert tables(out, 0x1000)[3:] == [("vfs", 1, 0x81, 0x1E0000, 0x120000), ("romfs", 1, 0x8F, 0x300000, 0x100000)]


@pytest.mark.parametrize(
    ("csv", "size", "message"),
    [
        (support.CSV + support.ROMFS_CSV, 0x1000, "already has a romfs partition, of 131,072 bytes"),
        (support.CSV, 0x1001, "4,097 bytes are not a whole number of sectors"),
        (support.CSV, 0, "0 bytes are not a whole number of sectors"),
        (support.CSV, 0x220000, "4,194,304 bytes of flash have no space for 2,228,224 bytes more"),
        (support.CSV + "vfs, data, fat, 0x1E0000, 0x220000,\n", 0x220000, "have no space"),
    ],
)
def test_a_partition_for_which_there_is_no_space_is_refused(csv, size, message, image, tmp_path):
    with pytest.raises(BoardError, match=message):
        written(tmp_path, support.esp32(csv=csv), image, add_partition=size)
    assert not (tmp_path / "out.bin").exists()


def test_a_signed_table_is_not_changed(image, tmp_path):
    data = bytearray(support.esp32(csv=support.CSV))
    data[0x8C00 - 0x1000] = 1
    with pytest.raises(BoardError, match="the partition table is signed"):
        written(tmp_path, bytes(data), image, add_partition=0x20000)


def test_flags_that_nobody_knows_survive(image, tmp_path):
    """Where esp-idf-defs would drop them."""
    table = bytearray(support.esp_table(support.CSV))
    struct.pack_into("<I", table, 2 * 32 + 28, 0x80)
    table[3 * 32 + 16 : 4 * 32] = hashlib.md5(table[: 3 * 32], usedforsecurity=False).digest()
    data = bytearray(support.esp32(csv=support.CSV))
    data[0x7000 : 0x7000 + len(table)] = table
    _, out = written(tmp_path, bytes(data), image, add_partition=0x20000)
    assert out[0x7000 : 0x7000 + 3 * 32] == table[: 3 * 32]
    assert PartitionTable.from_binary(bytes(table)).to_binary()[: 3 * 32] != table[: 3 * 32]


def test_firmware_without_the_driver_is_recognized(image, tmp_path):
    stock = support.esp32(csv=support.CSV, text=b"MicroPython")
    result, _ = written(tmp_path, stock, image, add_partition=0x20000, erase_fs=True)
    (warning,) = result.warnings
    assert warning.startswith("the firmware was built without ROMFS: it does not contain VfsRom")
    with pytest.raises(BoardError, match="no data partition with the label romfs"):
        written(tmp_path, stock, image)


def test_an_application_needs_its_table(image, tmp_path):
    app = support.esp_image(9)
    with pytest.raises(SettingsError, match="an application for the ESP32 without its partition table"):
        written(tmp_path, app, image)
    (tmp_path / "table.bin").write_bytes(support.esp_table())
    result, out = written(tmp_path, app, image, partition_table=tmp_path / "table.bin")
    assert (result.base_address, result.family) == (0x8000, "esp32s3")
    assert out[: len(support.esp_table())] == support.esp_table()
    assert out[0x8000 : 0x8000 + len(app)] == app
    assert out[0x1D8000:] == image.read_bytes()
    assert read_firmware(tmp_path / "out.bin").file.base == 0x8000


def test_an_application_that_is_too_large_for_its_partition_is_refused(image, tmp_path):
    (tmp_path / "table.bin").write_bytes(support.esp_table("factory, app, factory, 0x10000, 0x1000,\n"))
    with pytest.raises(BoardError, match="more than the partition factory has"):
        written(tmp_path, support.esp_image(), image, partition_table=tmp_path / "table.bin")


BROKEN = {
    "MD5": (bytes(16), 4 * 32 + 16, "the MD5 of the partition table does not match its entries"),
    "magic": (b"\xaa\x51", 32, "an entry of the partition table begins with aa51"),
    "size": (b"\xff" * 4, 32 + 8, "the partition '[a-z_]+' at 0x[0-9a-f]+-0x1[0-9a-f]{8} is outside of any flash"),
    "end": (b"\xeb\xeb" + b"\xff" * 14, 5 * 32, "the partition table continues after its MD5"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_refused(case):
    new, at, message = BROKEN[case]
    table = bytearray(support.esp_table())
    table[at : at + len(new)] = new
    with pytest.raises(ImageError, match=message):
        partition_table.parse(bytes(table))


def test_partitions_that_overlap_are_refused():
    table = support.esp_table(support.CSV)[: 3 * 32] + support.esp_table("x, data, nvs, 0x9000, 0x3000,\n")[:32]
    with pytest.raises(ImageError, match="the partitions 'x' and 'nvs' overlap"):
        partition_table.parse(table + b"\xff" * 32)


@patient
@given(st.binary(max_size=200), st.integers(0, 0xC00))
def test_any_table_is_one_error_or_a_table_that_is_written_back(noise, at):
    raw = bytearray(support.esp_table())
    raw[at : at + len(noise)] = noise
    data = bytes(raw[:0xC00])
    try:
        table = partition_table.parse(data)
    except ImageError:
        return
    entries = len(table.entries) * 32
    assert partition_table.build(table)[:entries] == data[:entries]


@patient
@given(st.binary(max_size=64), st.integers(0, 0x9000), st.integers(0, 0x9000))
def test_any_merged_file_is_one_error_or_firmware(noise, at, size):
    data = bytearray(MERGED["esp32s3"][:0x10000])
    data[at : at + len(noise)] = noise
    try:
        esp32.read(bytes(data[: size + 0x7000]))
    except ImageError:
        return
