"""The binary info of firmware for the RP2040 and RP2350: what the firmware itself says about its partitions.

The structures are those of pico-sdk's ``pico/binary_info``, and the names of the block devices are MicroPython's
(``ports/rp2/rp2_flash.c``, since July 2026). No package reads them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.firmware.memory import Range, Segment, inside, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLASH = 0x10000000
"""The address of the first byte of the flash."""
MAX_FLASH = 32 << 20
_WINDOW = 0x500
"""Where the header begins, at the latest: within 256 bytes after the second stage of the RP2040, or within 1,024."""
_HEADER = struct.Struct("<5I")
_START, _END = 0x7188EBF2, 0xE71AA390
_MAPPING = struct.Struct("<3I")
_MAX_MAPPINGS = 16
_MAX_ENTRIES = 4096
_DEVICE = struct.Struct("<HHIIIIH")
_DEVICE_TYPE = 7
_MAX_NAME = 32


class BlockDevice(NamedTuple):
    """A block device in the flash, by the name that the firmware gives it."""

    name: str
    range: Range


def block_devices(segments: Sequence[Segment]) -> list[BlockDevice] | None:
    """Return the block devices that the firmware declares, or None if it has no binary info.

    Entries that do not make sense are ignored, as by other readers: there can be more kinds than are known here.
    """
    header = _find_header(segments)
    if header is None:
        return None
    _, start, end, table, _ = header
    memory = _Memory(segments, table)
    count = (end - start) // 4
    if not 0 <= count <= _MAX_ENTRIES:
        return []
    pointers = memory.read(start, count * 4)
    if pointers is None:
        return []
    devices = (_device(memory, pointer) for (pointer,) in struct.iter_unpack("<I", pointers))
    return [device for device in devices if device]


def has_header(data: bytes) -> bool:
    """Return whether ``data``, the first bytes of the flash, contains the header of the binary info."""
    return _find_header((Segment(FLASH, data),)) is not None


def _find_header(segments: Sequence[Segment]) -> tuple[int, ...] | None:
    for part in inside(segments, Range(FLASH, _WINDOW + _HEADER.size)):
        for at in range(0, len(part.data) - _HEADER.size + 1, 4):
            header = _HEADER.unpack_from(part.data, at)
            if header[0] == _START and header[4] == _END:
                return header
    return None


class _Memory:
    """Memory as the firmware sees it: some of it is copied from the flash to RAM, as a table says."""

    def __init__(self, segments: Sequence[Segment], table: int) -> None:
        self._segments = segments
        self._mappings = list(self._read_table(table))

    def _read_table(self, table: int) -> Iterator[tuple[int, Range]]:
        for index in range(_MAX_MAPPINGS):
            raw = read(self._segments, Range(table + index * _MAPPING.size, _MAPPING.size))
            if raw is None:
                return
            source, start, end = _MAPPING.unpack(raw)
            if not source:
                return
            yield source, Range(start, max(end - start, 0))

    def read(self, address: int, size: int) -> bytes | None:
        for source, copy in self._mappings:
            if copy.address <= address < copy.end:
                address += source - copy.address
                break
        return read(self._segments, Range(address, size))

    def text(self, address: int) -> str | None:
        data = b""
        while len(data) < _MAX_NAME and (byte := self.read(address + len(data), 1)):
            if byte == b"\0":
                return data.decode(errors="replace")
            data += byte
        return None


def _device(memory: _Memory, pointer: int) -> BlockDevice | None:
    raw = memory.read(pointer, _DEVICE.size)
    if raw is None:
        return None
    kind, _tag, name, address, size, _extra, _flags = _DEVICE.unpack(raw)
    if kind != _DEVICE_TYPE or not FLASH <= address <= address + size <= FLASH + MAX_FLASH:
        return None
    text = memory.text(name)
    return BlockDevice(text, Range(address, size)) if text else None
