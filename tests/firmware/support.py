"""Firmware to test with: files of each kind, made from the layouts that their own tools document."""

import contextlib
import hashlib
import io
import struct
import zlib
from typing import NamedTuple

import bincopy
import intelhex
from esp_idf_defs.partitions import PartitionTable

from hatch_romfs.cli.image import command
from hatch_romfs.errors import RomfsError

FLASH = 0x10000000
RP2040, RP2350, RISCV, ABSOLUTE = 0xE48BFF56, 0xE48BFF59, 0xE48BFF5A, 0xE48BFF57
ROMFS = (FLASH + 0x100000, 0x80000)
FILESYSTEM = (FLASH + 0x180000, 0x80000)
CSV = """\
nvs, data, nvs, 0x9000, 0x6000,
phy_init, data, phy, 0xf000, 0x1000,
factory, app, factory, 0x10000, 0x1D0000,
"""
ROMFS_CSV = "romfs, data, 0x8f, 0x1E0000, 0x20000,\n"
VFS_CSV = "vfs, data, fat, 0x200000, 0x200000,\n"


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


def romfs_image(*arguments, status=0):
    """Run the command in this process, which takes a tenth of the time of one of its own."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            command([str(argument) for argument in arguments])
        except RomfsError as error:
            stderr.write(str(error))
            ended = error.status
        else:
            ended = 0
    assert ended == status, stdout.getvalue() + stderr.getvalue()
    return Done(stdout.getvalue(), stderr.getvalue())


class Rp2(NamedTuple):
    """How firmware for an RP2040 or RP2350 is laid out: where its header is, and where code is copied to RAM."""

    header: int
    family: int
    in_ram: bool = False


CHIPS = {"rp2040": Rp2(0x100 + 0xC0, RP2040), "rp2350": Rp2(0x114, RP2350), "riscv": Rp2(0x20, RISCV)}


def rp2_flash(
    chip="rp2040", *, romfs=ROMFS, filesystem=FILESYSTEM, size=0x9000, in_ram=False, text=b"MicroPython VfsRom"
):
    """Return the bytes of the flash from its start on, with binary info as pico-sdk's linker scripts place it.

    With ``in_ram``, the entries are in a section that is copied to RAM, so that their pointers are those of the RAM.
    """
    data = bytearray((i * 7 + i // 251) & 0xFF for i in range(size))
    data[0x400 : 0x400 + len(text)] = text
    at, shift = 0x6000, 0x20000000 - (FLASH + 0x6000) if in_ram else 0
    entries = []

    def put(raw):
        nonlocal at
        place = at
        data[at : at + len(raw)] = raw
        at += -(-len(raw) // 4) * 4
        return FLASH + place + shift

    name = put(b"MicroPython firmware\0")
    entries.append(put(struct.pack("<HHII", 6, 0x5052, 0x02031C86, name)))
    entries.append(put(struct.pack("<HHIi", 5, 0x5052, 0x68F465DE, FLASH + size)))
    for label, place, flags in (("MicroPython", filesystem, 3), ("ROMFS", romfs, 1)):
        if place:
            text_at = put(label.encode() + b"\0")
            entries.append(put(struct.pack("<HHIIIIH", 7, 0x504D, text_at, *place, 0, flags)))
    pointers = put(struct.pack(f"<{len(entries)}I", *entries)) - shift
    mapping = put(struct.pack("<3I", FLASH + 0x6000, 0x20000000, 0x20002000) * in_ram + bytes(12)) - shift
    header = struct.pack("<5I", 0x7188EBF2, pointers, pointers + 4 * len(entries), mapping, 0xE71AA390)
    start = CHIPS[chip].header
    data[start : start + len(header)] = header
    return bytes(data)


def uf2_block(address, data, number, total, family=RP2040, *, flags=0x2000, rest=b""):
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, flags, address, len(data), number, total, family or 0)
    return head + (data + rest).ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def uf2(data, base=FLASH, family=RP2040, *, page=256):
    """Return a UF2 file; the last page is filled with zeros, as by elf2uf2."""
    pages = [data[start : start + page].ljust(page, b"\0") for start in range(0, len(data), page)]
    flags = 0 if family is None else 0x2000
    return b"".join(
        uf2_block(base + i * page, part, i, len(pages), family, flags=flags) for i, part in enumerate(pages)
    )


def workaround(address=0x10FFFF00):
    """Return the block that picotool puts before firmware for the RP2350 (erratum E10)."""
    return uf2_block(address, b"\xef" * 256, 0, 2, ABSOLUTE, flags=0xA000, rest=struct.pack("<I", 0x9957E304))


def esp_image(chip=0, *, flash=2, text=b"MicroPython VfsRom", size=0x3000):
    """Return an image with a checksum and a hash, as esptool's elf2image writes it; ``flash`` is an exponent."""
    body = (text + bytes(i * 5 & 0xFF for i in range(size)))[:size]
    head = bytes([0xE9, 1, 2, flash << 4]) + struct.pack("<I", 0x40080000)
    head += bytes([0xEE, 0, 0, 0]) + struct.pack("<H", chip) + bytes(8) + b"\x01"
    data = head.ljust(24, b"\0") + struct.pack("<II", 0x3F400020, len(body)) + body
    checksum = 0xEF
    for byte in body:
        checksum ^= byte
    data += bytes(-(len(data) + 1) % 16) + bytes([checksum])
    return data + hashlib.sha256(data).digest()


def esp_table(csv=CSV + ROMFS_CSV):
    return PartitionTable.from_csv(csv).to_binary()


def esp32(chip=0, base=0x1000, *, csv=CSV + ROMFS_CSV, flash=2, boot=0x1000, text=b"MicroPython VfsRom"):
    """Return a merged file: boot loader, table, and application, with erased flash between them."""
    data = bytearray(b"\xff" * (0x10000 - base))
    loader, app = esp_image(chip, flash=flash, text=b"boot", size=0x1000), esp_image(chip, flash=flash, text=text)
    table = esp_table(csv)
    data[boot - base : boot - base + len(loader)] = loader
    data[0x8000 - base : 0x8000 - base + len(table)] = table
    return bytes(data) + app


def intel_hex(segments):
    file = intelhex.IntelHex()
    for address, data in segments:
        file.frombytes(data, address)
    file.start_addr = {"EIP": 0x08000101}
    text = io.StringIO()
    file.write_hex_file(text)
    return text.getvalue().encode()


def srec(segments):
    file = bincopy.BinFile()
    for address, data in segments:
        file.add_binary(data, address)
    file.header = "firmware"
    file.execution_start_address = 0x08000101
    return file.as_srec().encode()


def dfuse(targets):
    """Return a DfuSe file of elements by alternate setting, as documented by ST (UM0391)."""
    body = b""
    for alternate, elements in targets.items():
        content = b"".join(struct.pack("<II", address, len(data)) + data for address, data in elements)
        head = b"Target" + struct.pack("<BI255sII", alternate, 1, b"ST...", len(content), len(elements))
        body += head + content
    prefix = b"DfuSe" + struct.pack("<BIB", 1, 11 + len(body), len(targets))
    whole = prefix + body + struct.pack("<HHHH3sB", 0x2200, 0xDF11, 0x0483, 0x011A, b"UFD", 16)
    return whole + struct.pack("<I", zlib.crc32(whole) ^ 0xFFFFFFFF)


STM32 = 0x08000000
STM32_ROMFS = (0x081E0000, 0x20000)


def code(size=0x5000):
    return (b"MicroPython VfsRom" + bytes((i * 11 + i // 253) & 0xFF for i in range(size)))[:size]
