"""DfuSe files: dfu-util's own tools accept a bundle, and read from it what was written."""

import re
import struct
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs import BoardError, ImageError, bundle
from hatch_romfs.firmware import dfu
from tests import judges
from tests.commands import romfs_image
from tests.firmware import support
from tests.settings.support import patient

FIRMWARE = {0: [(support.STM32, support.code()), (0x08010000, support.code(0x300))]}


def bundled(tmp_path, data, image):
    (tmp_path / "firmware.dfu").write_bytes(data)
    bundle(tmp_path / "firmware.dfu", [image], tmp_path / "out.dfu", partitions=[support.STM32_ROMFS])
    return (tmp_path / "out.dfu").read_bytes()


def run(*command, status=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_dfu_suffix_accepts_the_crc_and_the_numbers_of_a_bundle(image, tmp_path):
    bundled(tmp_path, support.dfuse(FIRMWARE), image)
    said = run(judges.command("dfu-suffix"), "--check", tmp_path / "out.dfu")
    assert "contains a DFU suffix with the following properties" in said
    assert re.findall("0x[0-9A-F]{4}\n", said) == ["0x2200\n", "0xDF11\n", "0x0483\n", "0x011A\n"]


def test_dfuse_pack_takes_a_bundle_apart(image, tmp_path):
    bundled(tmp_path, support.dfuse(FIRMWARE), image)
    said = run(judges.command("dfuse-pack"), "--dump", tmp_path / "out.dfu")
    assert re.findall(r"address: (0x[0-9a-f]+), size: ([0-9]+)", said) == [
        ("0x08000000", "20480"),
        ("0x08010000", "768"),
        ("0x081e0000", str(image.stat().st_size)),
    ]
    dumped = [path.read_bytes() for path in sorted(tmp_path.glob("out.dfu.target0.image*.bin"))]
    assert dumped == [*(data for _, data in FIRMWARE[0]), image.read_bytes()]


def test_dfu_util_loads_a_file_for_the_partition_alone(image, tmp_path):
    out = tmp_path / "image.dfu"
    romfs_image("build", image, "--emit", "dfu", "--address", "0x081e0000", "-o", out)
    said = run(judges.command("dfu-util"), "-D", out, status=74)
    assert "No DFU capable USB device available" in said
    assert "CRC" not in said
    (element,) = dfu.parse(out.read_bytes()).segments
    assert element == (0x081E0000, image.read_bytes())


def test_a_bundle_keeps_the_elements_of_the_firmware(image, tmp_path):
    out = dfu.parse(bundled(tmp_path, support.dfuse(FIRMWARE), image))
    (target,) = out.targets
    assert (target.alternate, target.name) == (0, b"ST...")
    assert list(target.elements) == [*FIRMWARE[0], (support.STM32_ROMFS[0], image.read_bytes())]


def test_a_file_with_several_targets_is_not_guessed_about(image, tmp_path):
    several = FIRMWARE | {1: [(0x90000000, b"external")]}
    with pytest.raises(BoardError, match=r"several targets \(alternate settings 0, 1\)"):
        bundled(tmp_path, support.dfuse(several), image)


def again(data):
    """Return a file with the CRC of its content."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]) ^ 0xFFFFFFFF)


GOOD = support.dfuse({0: [(0x08000000, b"0123456789")]})
BROKEN = {
    "crc": (GOOD[:-1] + b"\0", "the CRC of the file does not match its content"),
    "suffix": (again(GOOD[:-8] + b"XYZ" + GOOD[-5:]), "the file does not end with the suffix of a DfuSe file"),
    "short": (GOOD[:10], "the suffix is cut short"),
    "size": (again(GOOD[:6] + b"\0" + GOOD[7:]), "the prefix says that the file has"),
    "targets": (again(GOOD[:10] + b"\2" + GOOD[11:]), "the target is cut short"),
    "no targets": (again(GOOD[:10] + b"\0" + GOOD[11:]), "data follows the last target"),
    "target": (again(GOOD[:11] + b"t" + GOOD[12:]), "there is no target"),
    "elements": (again(GOOD[:281] + b"\2" + GOOD[282:]), "the element is cut short"),
    "element": (again(GOOD[:289] + b"\xff" + GOOD[290:]), "element 0 is cut short"),
    "target size": (again(GOOD[:277] + b"\xff" + GOOD[278:]), "a target of 18 bytes says that it has 255"),
    "overlap": (support.dfuse({0: [(8, b"abcd"), (9, b"x")]}), "element 1 at 0x9 overlaps element 0 at 0x8"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused(case):
    data, message = BROKEN[case]
    with pytest.raises(ImageError) as caught:
        dfu.parse(data)
    assert caught.value.what.startswith(message)


@patient
@given(st.binary(max_size=20), st.integers(0, len(GOOD)))
def test_any_file_is_one_error_or_is_written_back(noise, at):
    data = again(GOOD[:at] + noise + GOOD[at + len(noise) :])
    try:
        file = dfu.parse(data)
    except ImageError:
        return
    assert dfu.parse(file.replace([], [])).segments == file.segments
