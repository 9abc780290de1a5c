"""Intel HEX files and S-records: other readers find the same, and each mistake is reported with its line."""

import io
import tracemalloc

import bincopy
import intelhex
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs import BoardError, ImageError, bundle
from hatch_romfs.firmware.memory import Segment
from hatch_romfs.firmware.records import RecordFile, encode, parse_hex, parse_srec
from tests.firmware import support
from tests.settings.support import patient

FIRMWARE = [(support.STM32, support.code())]
SEGMENTS = st.lists(st.tuples(st.integers(0, 0x30000), st.binary(min_size=1, max_size=80)), min_size=1, max_size=4)


def bundled(tmp_path, data, name, image):
    (tmp_path / name).write_bytes(data)
    result = bundle(tmp_path / name, [image], tmp_path / f"out-{name}", partitions=[support.STM32_ROMFS])
    return result, (tmp_path / f"out-{name}").read_bytes()


def test_other_readers_find_the_firmware_and_the_image_in_a_hex_file(image, tmp_path):
    _, out = bundled(tmp_path, support.intel_hex(FIRMWARE), "firmware.hex", image)
    judge = intelhex.IntelHex(io.StringIO(out.decode()))
    assert judge.segments() == [
        (support.STM32, support.STM32 + len(support.code())),
        (support.STM32_ROMFS[0], support.STM32_ROMFS[0] + image.stat().st_size),
    ]
    assert judge.tobinstr(support.STM32, size=len(support.code())) == support.code()
    assert judge.tobinstr(support.STM32_ROMFS[0]) == image.read_bytes()
    assert judge.start_addr == {"EIP": 0x08000101}
    assert bincopy.BinFile().add_ihex(out.decode()) is None


def test_other_readers_find_the_firmware_and_the_image_in_s_records(image, tmp_path):
    _, out = bundled(tmp_path, support.srec(FIRMWARE), "firmware.srec", image)
    judge = bincopy.BinFile()
    judge.add_srec(out.decode())
    assert [(segment.address, bytes(segment.data)) for segment in judge.segments] == [
        *FIRMWARE,
        (support.STM32_ROMFS[0], image.read_bytes()),
    ]
    assert judge.header == "firmware"
    assert judge.execution_start_address == 0x08000101


def line(kind, address, data):
    return bincopy.pack_ihex(kind, address, len(data), data)


END = line(1, 0, b"")
BROKEN = {
    "checksum": (":0100000000FE\n" + END, "line 1 is not a valid record: expected crc 'FF' in record :0100000000FE", 0),
    "letters": (END + "\n", None, 0),
    "not hexadecimal": (":zz00000000FE\n", "line 1 is not a valid record: non-hexadecimal number", 0),
    "no colon": (f"{line(0, 0, b'a')}\nhello, world\n", "line 2 is not a valid record: record 'hello, world' not", 14),
    "not a text": (f"{line(0, 0, b'a')}\n\xff\n", "line 2 is not a record", 14),
    "long": (":" + "0" * 2000, "line 1 is not a record", 0),
    "overlap": (
        f"{line(0, 0, b'abcd')}\n{line(0, 3, b'x')}\n{END}",
        "line 2 at 0x3 overlaps line 1 at 0x0",
        20,
    ),
    "type": (f"{line(9, 0, b'a')}\n{END}", "line 1 has the unknown type 9", 0),
    "address": (f"{line(4, 0, b'a')}\n{END}", "line 1 has 1 bytes of an address instead of 2", 0),
    "cut": (line(0, 0, b"abcd"), "the file is cut short: it has no record that ends it", 19),
    "more": (f"{END}\n{line(0, 0, b'a')}", "line 2 follows the end of the file's records", 12),
    "too high": (
        f"{line(4, 0, b'{}'.replace(b'{}', bytes([255, 255])))}\n{line(0, 0xFFFF, b'ab')}\n{END}",
        "line 2 passes",
        16,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_hex_file_is_refused_with_the_number_of_the_line(case):
    text, message, offset = BROKEN[case]
    if message is None:
        assert parse_hex(text.encode()).segments == ()
        return
    with pytest.raises(ImageError) as caught:
        parse_hex(text.encode("latin-1"))
    assert caught.value.what.startswith(message)
    assert caught.value.offset == offset


def test_broken_s_records_are_refused_with_the_number_of_the_line():
    with pytest.raises(ImageError, match="line 2 is not a valid record"):
        parse_srec(b"S00600004844521B\nS1\n")
    with pytest.raises(ImageError, match="the file is cut short"):
        parse_srec(b"S00600004844521B\n")


def test_a_file_of_many_holes_takes_linear_time_and_has_a_limit():
    holes = "\n".join(line(0, 2 * (i % 0x8000), b"a") for i in range(0x10001))
    with pytest.raises(ImageError, match="line 65537: more than 65,536 ranges"):
        parse_hex(f"{holes}\n{END}".encode())


def test_a_file_of_many_lines_takes_no_more_memory_than_its_size():
    text = f"{END}\n".encode() + b"\n" * (1 << 20)
    tracemalloc.start()
    try:
        assert parse_hex(text).segments == ()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(text)


@patient
@given(SEGMENTS)
def test_what_is_written_is_read_back_by_us_and_by_others(pieces):
    """Also across a multiple of 64 KiB, which bincopy's own writer puts into one record."""
    judge = intelhex.IntelHex()
    for address, data in pieces:
        judge.frombytes(data, address + 0xFF80)
    segments = tuple(Segment(start, judge.tobinstr(start, size=end - start)) for start, end in judge.segments())
    text = encode(RecordFile("hex", segments))
    assert parse_hex(text).segments == segments
    assert intelhex.IntelHex(io.StringIO(text.decode())).todict() == judge.todict()
    for record in text.decode().split():
        _, address, size, _ = bincopy.unpack_ihex(record)
        assert address + size <= 0x10000
    records = encode(RecordFile("srec", segments))
    assert parse_srec(records).segments == segments


@settings(patient, max_examples=40)
@given(st.binary(max_size=40), st.integers(0, 200))
def test_any_text_is_one_error_or_a_file(noise, at):
    for whole, parse in (
        (support.intel_hex(FIRMWARE)[:400] + b"\n", parse_hex),
        (support.srec(FIRMWARE)[:400], parse_srec),
    ):
        data = whole[:at] + noise + whole[at:]
        try:
            parse(data)
        except ImageError as error:
            assert "\n" not in error.what  # noqa: PT017 - whether there is an error depends on the noise


def test_code_in_the_partition_is_an_overlap(image, tmp_path):
    """Here the firmware goes on where the user says that the partition is."""
    firmware = support.intel_hex([(support.STM32_ROMFS[0] - 0x4000, support.code())])
    with pytest.raises(BoardError, match="the partition at 0x81e0000-0x8200000 overlaps the firmware") as caught:
        bundled(tmp_path, firmware, "firmware.hex", image)
    assert caught.value.hint == "The address comes from: --address."
    assert not (tmp_path / "out-firmware.hex").exists()
