"""Reading a firmware file of any kind, and finding its partitions: in itself, or as the user or a board says.

An address is never guessed. Where several sources say it, they must agree.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError, SettingsError, unreadable
from hatch_romfs.firmware import binary_info, dfu, esp32, partition_table, uf2
from hatch_romfs.firmware.esp32 import Esp32File
from hatch_romfs.firmware.model import Firmware, Partition
from hatch_romfs.firmware.plain import PlainFile
from hatch_romfs.firmware.records import parse_hex, parse_srec
from romfs_manifest.shared.opening import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.firmware.memory import Range
    from hatch_romfs.firmware.model import FirmwareFile

MAX_FILE = 256 << 20
"""Bytes of a firmware file, at most: the largest partitions as Intel HEX."""
MAX_TABLE = 64 << 10
ROMFS, FILESYSTEM = "ROMFS", "MicroPython"
"""The names of the block devices in the binary info of MicroPython."""
_HEAD = 16
_BINARY_INFO_SIZE = 0x1000


_PARSERS: dict[str | None, Callable[[bytes], FirmwareFile]] = {
    "uf2": uf2.parse,
    "dfu": dfu.parse,
    "hex": parse_hex,
    "srec": parse_srec,
}


class Hints(NamedTuple):
    """What a firmware file may not say itself.

    ``partitions`` are the ROMFS partitions by number, ``base`` is the address of the first byte of a plain binary, and
    ``table`` is the file of the partition table that belongs to an application for the ESP32.
    """

    partitions: tuple[Partition, ...] = ()
    base: int | None = None
    table: Path | None = None


NO_HINTS = Hints()


def read_firmware(path: str | os.PathLike[str], hints: Hints = NO_HINTS) -> Firmware:
    """Read a firmware file of any kind. Raises SettingsError, and ImageError if the file is not valid."""
    data = _read(Path(path))
    try:
        file = _parse(data, hints)
    except ImageError as error:
        raise ImageError(f"{path}: {error.what}", offset=error.offset) from None
    if file is None:
        raise _unknown(path, data)
    return _with_partitions(file, hints.partitions)


def is_firmware(path: str | os.PathLike[str], hints: Hints = NO_HINTS) -> bool:
    """Return whether a file begins like firmware of a kind that is known, which can be broken all the same."""
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            head = file.read(partition_table.ADDRESS + _HEAD)
    except OSError:
        return False
    return hints.base is not None or _kind(head) is not None


def _read(path: Path) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            if file.read(len(uf2.MAGIC)) == uf2.MAGIC:
                uf2.check_count(file.seek(0, os.SEEK_END))
        return read_regular(path, MAX_FILE)
    except ImageError as error:
        raise ImageError(f"{path}: {error.what}", offset=error.offset) from None
    except OSError as error:
        raise unreadable(path, error, "a file with firmware or an image") from error


def _kind(head: bytes) -> str | None:
    """Return the kind of a file from its first bytes, or None if it is not a known kind."""
    if head.startswith(uf2.MAGIC):
        return "uf2"
    if head.startswith(dfu.MAGIC):
        return "dfu"
    if head[:1] == b":" and head[1:9].isalnum():
        return "hex"
    if head[:1] == b"S" and head[1:4].isalnum() and head[1:2].isdigit():
        return "srec"
    if esp32.is_app(head) or head.startswith(partition_table.MAGIC) or _is_merged(head):
        return "esp32"
    return "rp2" if binary_info.has_header(head[:_BINARY_INFO_SIZE]) else None


def _is_merged(head: bytes) -> bool:
    """Return whether a file has a partition table where it belongs in the flash, and nothing before the boot loader."""
    table = head[partition_table.ADDRESS : partition_table.ADDRESS + len(partition_table.MAGIC)]
    return table == partition_table.MAGIC and head[:1] == b"\xff"


def _parse(data: bytes, hints: Hints) -> FirmwareFile | None:
    kind = _kind(data[: partition_table.ADDRESS + _HEAD])
    if kind in _PARSERS:
        return _PARSERS[kind](data)
    if kind == "esp32":
        return _parse_esp32(data, hints.table)
    if kind == "rp2" and hints.base in (None, binary_info.FLASH):
        return PlainFile(binary_info.FLASH, data, "rp2")
    return None if hints.base is None else PlainFile(hints.base, data)


def _parse_esp32(data: bytes, table: Path | None) -> Esp32File | None:
    if merged := esp32.read(data):
        return merged
    if not esp32.is_app(data):
        return None
    if table is None:
        raise SettingsError(
            "this is an application for the ESP32 without its partition table",
            hint="Name the table with --partition-table, such as build/partition_table/partition-table.bin, or use the"
            " firmware.bin that MicroPython's build makes of both.",
        )
    try:
        return esp32.with_table(data, read_regular(table, MAX_TABLE))
    except OSError as error:
        raise unreadable(table, error, "a partition table, such as partition-table.bin") from error
    except ImageError as error:
        raise ImageError(f"{table}: {error.what}", offset=error.offset) from None


def _with_partitions(file: FirmwareFile, stated: tuple[Partition, ...]) -> Firmware:
    """Return the firmware with the partitions that the file declares, or else with those that are ``stated``."""
    declared, filesystem = find_partitions(file)
    for own, other in zip(declared, stated, strict=False):
        if own.range != other.range:
            raise SettingsError(
                f"{other.source} says that the ROMFS partition is at {other.range}, but the firmware itself"
                f" says {own.range}"
            )
    return Firmware(file, declared or stated, filesystem)


def find_partitions(file: FirmwareFile) -> tuple[tuple[Partition, ...], Range | None]:
    """Return the ROMFS partitions that a file declares, and its writable filesystem."""
    if isinstance(file, Esp32File):
        entry = file.table.find(partition_table.ROMFS)
        found = (Partition(entry.label, *entry.range, "partition table"),) if entry else ()
        return found, file.table.filesystem(file.flash_size or 0)
    devices = binary_info.block_devices(file.segments) or ()
    romfs = tuple(Partition(device.name, *device.range, "binary info") for device in devices if device.name == ROMFS)
    return romfs, next((device.range for device in devices if device.name == FILESYSTEM), None)


def _unknown(path: object, data: bytes) -> ImageError:
    return ImageError(
        f"{path} is not firmware of a known kind: it begins with {data[:4].hex() or 'nothing'}",
        offset=0,
        hint="UF2, Intel HEX, S-record, DfuSe, and ESP32 files are recognized. For a plain binary, say at which address"
        " it begins, with --base-address.",
    )
