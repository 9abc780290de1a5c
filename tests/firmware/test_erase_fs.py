"""Erasing the filesystem: what a real LittleFS makes of the flash afterwards."""

import pytest
from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from hatch_romfs import BoardError, bundle
from hatch_romfs.firmware.files import read_firmware
from hatch_romfs.firmware.memory import Range, read
from tests.firmware import support

BLOCKS = 64


def used_filesystem():
    """Return a LittleFS that has been in use, so that both copies of its superblock are valid."""
    fs = LittleFS(block_size=4096, block_count=BLOCKS, prog_size=256)
    for i in range(200):
        with fs.open("boot.py", "w") as file:
            file.write(f"print({i})\n")
    return bytes(fs.context.buffer)


def files_in(flash):
    context = UserContext(len(flash))
    context.buffer[:] = flash
    fs = LittleFS(context, block_size=4096, block_count=BLOCKS, prog_size=256, mount=False)
    fs.mount()
    return fs.listdir("/")


def test_a_filesystem_survives_the_loss_of_its_first_block():
    """This is why two blocks are erased: LittleFS keeps its superblock in both."""
    flash = used_filesystem()
    assert files_in(flash) == ["boot.py"]
    assert files_in(b"\xff" * 4096 + flash[4096:]) == ["boot.py"]


FIRMWARE = {
    "firmware.uf2": (support.uf2(support.rp2_flash()), support.FILESYSTEM[0]),
    "esp32.bin": (support.esp32(csv=support.CSV + support.ROMFS_CSV), 0x200000),
    "esp32-vfs.bin": (support.esp32(csv=support.CSV + support.ROMFS_CSV + support.VFS_CSV), 0x200000),
}


@pytest.mark.parametrize("name", FIRMWARE)
def test_what_the_bundle_erases_makes_the_firmware_create_a_new_filesystem(name, image, tmp_path):
    data, start = FIRMWARE[name]
    (tmp_path / name).write_bytes(data)
    bundle(tmp_path / name, [image], tmp_path / "out", erase_fs=True)
    segments = read_firmware(tmp_path / "out").file.segments
    flash = bytearray(used_filesystem())
    erased = read(segments, Range(start, 8192))
    assert erased == b"\xff" * 8192
    assert segments[-1].range.end == start + 8192
    flash[:8192] = erased
    with pytest.raises(LittleFSError):
        files_in(flash)


def test_a_filesystem_at_an_unknown_place_cannot_be_erased(image, tmp_path):
    (tmp_path / "firmware.hex").write_bytes(support.intel_hex([(support.STM32, support.code())]))
    with pytest.raises(BoardError, match="does not say where its writable filesystem is"):
        bundle(
            tmp_path / "firmware.hex",
            [image],
            tmp_path / "out.hex",
            partitions=[support.STM32_ROMFS],
            erase_fs=True,
        )
