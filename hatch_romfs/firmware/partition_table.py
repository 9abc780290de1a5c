"""The partition table of an ESP32: entries of 32 bytes, then their MD5, then erased flash.

The layout is that of ESP-IDF's partition tables. It is read and written here because what is not understood has to
stay: the package ``esp-idf-defs`` drops flags that it does not know when it writes a table. The tests compare both.
"""

from __future__ import annotations

import hashlib
import struct
from itertools import pairwise
from typing import NamedTuple

from hatch_romfs.errors import BoardError, ImageError
from hatch_romfs.firmware.memory import ERASED, Range
from hatch_romfs.firmware.model import SECTOR

MAGIC = b"\xaa\x50"
ADDRESS = 0x8000
"""Where the table is in the flash, unless ESP-IDF was configured differently."""
SIZE = 0x1000
"""Bytes that are reserved for the table; its entries are in the first 0xC00, a signature can be in the rest."""
MAX_FLASH = 128 << 20
"""Bytes of the largest flash: whoever reads a partition needs memory for it."""
APP, DATA = 0, 1
ROMFS = "romfs"
FILESYSTEMS = ("vfs", "ffat")
"""The labels of the writable filesystem."""
_ROMFS_SUBTYPE = 0x8F
_ENTRY = struct.Struct("<2sBBII16sI")
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_ENTRIES_SIZE = 0xC00
_END = ERASED * _ENTRY.size
_USED_BOARDS = "a board that already has one reports that it is corrupted, unless the bundle erases it (--erase-fs)"
_LEAST_FILESYSTEM = 16 * SECTOR
"""Bytes that are left of the filesystem, at least, if the new partition is taken from it."""


class Entry(NamedTuple):
    """A partition; ``raw`` is its entry in the table."""

    label: str
    type: int
    subtype: int
    range: Range
    raw: bytes


class PartitionTable(NamedTuple):
    """The partitions in the order of the table; ``rest`` follows the entries in their sector, erased or a signature."""

    entries: tuple[Entry, ...]
    rest: bytes
    has_md5: bool = True

    def find(self, label: str) -> Entry | None:
        """Return the first data partition with a label, or None."""
        return next((entry for entry in self.entries if (entry.type, entry.label) == (DATA, label)), None)

    @property
    def end(self) -> int:
        """The first address after the last partition."""
        return max(entry.range.end for entry in self.entries)

    def filesystem(self, flash_size: int) -> Range | None:
        """Return where MicroPython has its writable filesystem, or None if there is no space for one.

        Where no partition is made for it, the firmware uses all the flash after the last one.
        """
        named = next(filter(None, map(self.find, FILESYSTEMS)), None)
        if named:
            return named.range
        return Range(self.end, flash_size - self.end) if flash_size > self.end else None


def parse(data: bytes, offset: int = 0) -> PartitionTable:
    """Read the table in ``data``, which begins at ``offset`` of its file. Raises ImageError."""
    entries: list[Entry] = []
    at, has_md5 = 0, False
    while True:
        raw = data[at : at + _ENTRY.size]
        if len(raw) < _ENTRY.size or at >= _ENTRIES_SIZE:
            raise ImageError("the partition table has no end", offset=offset + at)
        if raw == _END:
            break
        if has_md5:
            raise ImageError("the partition table continues after its MD5", offset=offset + at)
        if raw.startswith(_MD5_MAGIC[:2]):
            _check_md5(raw, data[:at], offset + at)
            has_md5 = True
        else:
            entries.append(_entry(raw, offset + at))
        at += _ENTRY.size
    if not entries:
        raise ImageError("the partition table has no entries", offset=offset)
    for lower, upper in pairwise(sorted(entries, key=lambda entry: entry.range)):
        if lower.range.overlaps(upper.range):
            message = f"the partitions {lower.label!r} and {upper.label!r} overlap"
            raise ImageError(message, offset=offset)
    return PartitionTable(tuple(entries), data[_ENTRIES_SIZE:SIZE], has_md5)


def build(table: PartitionTable) -> bytes:
    """Return the bytes of a table, with an MD5 if it had one. Raises BoardError if it is full."""
    data = b"".join(entry.raw for entry in table.entries)
    if table.has_md5:
        data += _MD5_MAGIC + hashlib.md5(data, usedforsecurity=False).digest()
    if len(data) > _ENTRIES_SIZE - _ENTRY.size:
        raise BoardError("the partition table is full")
    return data.ljust(_ENTRIES_SIZE, ERASED) + table.rest


def add_romfs(table: PartitionTable, size: int, flash_size: int) -> tuple[PartitionTable, str | None]:
    """Return the table with a partition for ROMFS, and a warning if the filesystem becomes another one.

    Free flash is used first: between partitions, or after the last one. Otherwise the filesystem becomes smaller, at
    its end. Raises BoardError if there is no space.
    """
    if existing := table.find(ROMFS):
        raise BoardError(f"the partition table already has a romfs partition, of {existing.range.size:,} bytes")
    if size % SECTOR or not size:
        raise BoardError(f"{size:,} bytes are not a whole number of sectors of {SECTOR:,} bytes")
    if table.rest.strip(ERASED):
        raise BoardError("the partition table is signed, so no partition can be added", hint="Build firmware with one.")
    address = _free_address(table, size, flash_size)
    larger = _shrink_filesystem(table, size, flash_size) if address is None else _with(table, Range(address, size))
    before, after = table.filesystem(flash_size), larger.filesystem(flash_size)
    if before is None or before == after:
        return larger, None
    return larger, f"the filesystem is now at {after} instead of {before}: {_USED_BOARDS}"


def _free_address(table: PartitionTable, size: int, flash_size: int) -> int | None:
    """Return where ``size`` bytes of flash are free. Without a filesystem's partition, space for it must be left."""
    has_filesystem = any(map(table.find, FILESYSTEMS))
    limit = flash_size if has_filesystem else flash_size - _LEAST_FILESYSTEM
    places = sorted(entry.range for entry in table.entries)
    start = places[0].end
    for place in [*places[1:], Range(limit, 0)]:
        start = -(-start // SECTOR) * SECTOR
        if place.address - start >= size:
            return start
        start = max(start, place.end)
    return None


def _shrink_filesystem(table: PartitionTable, size: int, flash_size: int) -> PartitionTable:
    found = next(filter(None, map(table.find, FILESYSTEMS)), None)
    left = found.range.size - size if found else 0
    if not found or left < _LEAST_FILESYSTEM:
        raise BoardError(
            f"{flash_size:,} bytes of flash have no space for {size:,} bytes more",
            hint="Choose a smaller size, or build firmware with another partition table.",
        )
    old = found.range
    raw = bytearray(found.raw)
    struct.pack_into("<I", raw, 8, left)
    smaller = found._replace(range=Range(old.address, left), raw=bytes(raw))
    entries = tuple(smaller if entry is found else entry for entry in table.entries)
    return _with(table._replace(entries=entries), Range(old.address + left, size))


def _with(table: PartitionTable, place: Range) -> PartitionTable:
    label = ROMFS.encode()
    raw = _ENTRY.pack(MAGIC, DATA, _ROMFS_SUBTYPE, place.address, place.size, label, 0)
    new = Entry(ROMFS, DATA, _ROMFS_SUBTYPE, place, raw)
    below = sum(entry.range < place for entry in table.entries)
    return table._replace(entries=(*table.entries[:below], new, *table.entries[below:]))


def _entry(raw: bytes, offset: int) -> Entry:
    magic, type_, subtype, address, size, label, _flags = _ENTRY.unpack(raw)
    if magic != MAGIC:
        raise ImageError(f"an entry of the partition table begins with {magic.hex()}", offset=offset)
    name = label.partition(b"\0")[0].decode(errors="backslashreplace")
    place = Range(address, size)
    if place.end > MAX_FLASH:
        raise ImageError(f"the partition {name!r} at {place} is outside of any flash", offset=offset)
    return Entry(name, type_, subtype, place, raw)


def _check_md5(raw: bytes, entries: bytes, offset: int) -> None:
    if raw[16:] != hashlib.md5(entries, usedforsecurity=False).digest():
        raise ImageError("the MD5 of the partition table does not match its entries", offset=offset)
