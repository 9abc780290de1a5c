"""UF2 files: what another reader finds in a bundle, and files that a boot loader would not take."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uf2utils.file import UF2File

from hatch_romfs import BoardError, ImageError, SettingsError, bundle
from hatch_romfs.firmware import uf2
from hatch_romfs.firmware.files import read_firmware
from hatch_romfs.firmware.memory import Range, Segment
from tests.commands import romfs_image
from tests.firmware import support
from tests.settings.support import patient

FAMILIES = {"rp2040": support.RP2040, "rp2350": support.RP2350, "riscv": support.RISCV}


def read_by_uf2utils(path):
    """Return the bytes of a file by address, as another reader finds them, and its headers."""
    file = UF2File(str(path))
    return {block.header.address: bytes(block.payload) for block in file}, [block.header for block in file]


@pytest.mark.parametrize("in_ram", [False, True])
@pytest.mark.parametrize("chip", FAMILIES)
def test_a_bundle_is_the_firmware_and_the_image_and_nothing_else(chip, in_ram, image, tmp_path):
    flash = support.rp2_flash(chip, in_ram=in_ram)
    (tmp_path / "firmware.uf2").write_bytes(support.uf2(flash, family=FAMILIES[chip]))
    result = bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2")
    assert (result.kind, result.addresses) == ("uf2", {0: support.ROMFS[0]})
    before, _ = read_by_uf2utils(tmp_path / "firmware.uf2")
    after, headers = read_by_uf2utils(tmp_path / "out.uf2")
    added = {address: data for address, data in after.items() if address not in before}
    assert {address: after[address] for address in before} == before
    sectors = -(-image.stat().st_size // 4096)
    assert list(added) == [support.ROMFS[0] + i * 256 for i in range(sectors * 16)]
    assert b"".join(added.values()) == image.read_bytes().ljust(sectors * 4096, b"\xff")
    assert result.size == (len(before) + sectors * 16) * 512
    assert [header.block_number for header in headers] == list(range(len(after)))
    assert {header.total_blocks for header in headers} == {len(after)}
    assert {header.board_family for header in headers} == {FAMILIES[chip]}


def test_the_block_for_erratum_e10_stays_as_it_is(image, tmp_path):
    """picotool puts a block of another family, 0 of 2, before firmware for the RP2350."""
    first = support.workaround()
    firmware = first + support.uf2(support.rp2_flash("rp2350"), family=support.RP2350)
    (tmp_path / "firmware.uf2").write_bytes(firmware)
    bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2")
    data = (tmp_path / "out.uf2").read_bytes()
    assert data[:512] == first
    assert uf2.parse(data).workaround == first
    assert uf2.parse(data[512:]).family == "rp2350-arm-s"


def test_flags_and_extensions_of_the_firmware_survive(image, tmp_path):
    flash = support.rp2_flash()
    blocks = bytearray(support.uf2(flash))
    struct.pack_into("<I", blocks, 8, 0xA000)
    blocks[32 + 256 : 32 + 256 + 8] = struct.pack("<BBBB4s", 8, 0xA7, 0x7B, 0x65, b"info")  # an extension tag
    (tmp_path / "firmware.uf2").write_bytes(blocks)
    bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2")
    out = (tmp_path / "out.uf2").read_bytes()
    assert out[:20] + out[28:512] == bytes(blocks[:20] + blocks[28:512])


def changed(*changes):
    """Return a file of four blocks in which 32-bit words are others: (block, index of the word, value)."""
    data = bytearray(support.uf2(bytes(1024)))
    for block, word, value in changes:
        struct.pack_into("<I", data, block * 512 + word * 4, value)
    return bytes(data)


HOSTILE = {
    "overlap": (changed((2, 3, support.FLASH)), "block 2 at 0x10000000 overlaps block 0 at 0x10000000", 1024),
    "hole": (changed((2, 5, 3), (3, 5, 4)), "block 2 says that it is block 3 of 4: block 2 is missing", 1024),
    "repeated": (
        changed((2, 5, 1)),
        "block 2 says that it is block 1 of 4: block 1 appears again or out of order",
        1024,
    ),
    "count": (changed((3, 6, 5)), "block 3 says that it is block 3 of 5, but the file has 4 blocks", 1536),
    "a million": (changed((0, 6, 10**6)), "block 0 says that it is block 0 of 1000000, but the file has 4 blocks", 0),
    "two files": (support.uf2(bytes(512)) * 2, "block 0 says that it is block 0 of 2, but the file has 4 blocks", 0),
    "families": (changed((1, 7, support.RP2350)), "block 1 has another family: rp2040 and rp2350-arm-s are mixed", 512),
    "no family": (changed((3, 2, 0)), "block 3 has another family: rp2040 and none are mixed", 1536),
    "magic": (changed((1, 0, 0)), "block 1 is not a UF2 block", 512),
    "last magic": (changed((1, 127, 0)), "block 1 is not a UF2 block", 512),
    "container": (changed((1, 2, 0x3000)), "block 1 is not for the main flash", 512),
    "long": (changed((1, 4, 477)), "block 1 has 477 bytes of data; a block has 1 to 476", 512),
    "empty block": (changed((1, 4, 0)), "block 1 has 0 bytes of data; a block has 1 to 476", 512),
    "page": (
        changed((1, 3, support.FLASH + 0x108)),
        "block 1 has 256 bytes at 0x10000108; the boot loader takes only whole pages of 256",
        512,
    ),
    "end": (changed((3, 3, 0xFFFFFF00)), None, 0),
    "cut": (support.uf2(bytes(512))[:-1], "block 1 is cut short: 511 of 512 bytes", 512),
    "none": (b"", "the UF2 file has no blocks", 0),
    "only E10": (support.workaround(), "the UF2 file has no blocks", 0),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_the_number_of_the_block(case):
    data, message, offset = HOSTILE[case]
    if message is None:
        assert uf2.parse(data).segments[-1].range.end == 1 << 32
        return
    with pytest.raises(ImageError) as caught:
        uf2.parse(data)
    assert (caught.value.what, caught.value.offset) == (message, offset)


def test_a_second_file_behind_the_first_is_named():
    both = bytearray(support.uf2(bytes(512)) + support.uf2(bytes(512), support.FLASH + 0x10000))
    for block in range(2):
        struct.pack_into("<I", both, block * 512 + 24, 4)
    with pytest.raises(ImageError, match="block 2 starts another UF2 file: it says that it is block 0 of 2"):
        uf2.parse(bytes(both))


def test_a_file_of_a_million_blocks_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "million.uf2"
    with path.open("wb") as file:
        file.write(support.uf2(bytes(256)))
        file.truncate(10**6 * 512)
    done = romfs_image("info", path, status=3)
    assert "block 131072: a UF2 file can have at most 131,072 blocks (at offset 67108864)" in done.stderr


@patient
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 127), st.integers(0, 0xFFFFFFFF)), max_size=4),
    st.integers(0, 4 * 512),
)
def test_whatever_is_wrong_is_one_error_or_a_file_that_is_written_back(changes, size):
    data = changed(*changes)[: size or None]
    try:
        file = uf2.parse(data)
    except ImageError:
        return
    assert file.replace([], []) == data


@patient
@given(st.integers(1, 20000), st.integers(0, 30), st.sampled_from(sorted(uf2.FAMILIES)))
def test_a_file_for_a_partition_is_read_back(size, sector, family):
    address, data = support.FLASH + sector * 4096, bytes(i * 7 & 0xFF for i in range(size))
    file = uf2.parse(uf2.encode(Segment(address, data), uf2.family_number(family)))
    assert file.family == family
    (segment,) = file.segments
    assert segment.range == Range(address, -(-size // 4096) * 4096)
    assert segment.data == data.ljust(segment.range.size, b"\xff")


def test_families_have_names_and_numbers():
    assert uf2.family_number("RP2040") == uf2.family_number("0xe48bff56") == 0xE48BFF56
    assert uf2.family_name(0x12345678) == "0x12345678"
    with pytest.raises(SettingsError, match="'rp2350-arm' is not a UF2 family; did you mean 'rp2350-arm-s'"):
        uf2.family_number("rp2350-arm")


def test_a_partition_that_cuts_a_block_is_refused(image, tmp_path):
    """Blocks of other chips can be larger than a page, and then a partition can begin inside one."""
    (tmp_path / "firmware.uf2").write_bytes(support.uf2(b"\xff" * 476 * 20, 0x60000000, 0x4FB2D5BD, page=476))
    with pytest.raises(BoardError, match="block 8 is only partly inside the partition at 0x60001000-0x60005000"):
        bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2", partitions=[(0x60001000, 0x4000)])


def test_a_file_that_says_nothing_needs_an_address(image, tmp_path):
    (tmp_path / "firmware.uf2").write_bytes(support.uf2(support.code(), 0x4000, 0x55114460))
    with pytest.raises(BoardError, match="does not say where its ROMFS partition is"):
        bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2")
    bundle(tmp_path / "firmware.uf2", [image], tmp_path / "out.uf2", partitions=[(0x70000, 0x10000)])
    firmware = read_firmware(tmp_path / "out.uf2")
    assert firmware.file.family == "samd51"
    assert [segment.range.address for segment in firmware.file.segments] == [0x4000, 0x70000]
