"""Firmware for the ESP32 family: a boot loader, a partition table, and an application in one file, or the last two.

A merged file begins at the start of the flash or at the boot loader; the partition table is always at 0x8000 of the
flash. Only the first bytes of ESP-IDF's image header are read, to find out the chip and the size of its flash: esptool
reads all of it, but needs many packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BoardError, ImageError
from hatch_romfs.firmware import partition_table
from hatch_romfs.firmware.memory import ERASED, Range, Segment
from hatch_romfs.firmware.plain import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.firmware.partition_table import PartitionTable

IMAGE_MAGIC = 0xE9
_CHIPS = {
    0: "esp32", 2: "esp32s2", 5: "esp32c3", 9: "esp32s3", 12: "esp32c2", 13: "esp32c6", 16: "esp32h2", 18: "esp32p4",
    20: "esp32c61", 23: "esp32c5",
}  # fmt: skip
"""ESP-IDF's numbers of the chips."""
_BOOT_LOADERS = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32p4": 0x2000, "esp32c5": 0x2000}
"""Where the boot loader is in the flash, if not at its start."""
_HEADER_SIZE = 24
_FLASH_SIZE_AT, _CHIP_AT = 3, 12
_MIB = 1 << 20
_MAX_EXPONENT = 7
"""The size of the largest flash is 128 MiB."""


class Esp32File(NamedTuple):
    """A file whose first byte is at ``base`` of the flash. ``flash_size`` is None if no image header says it."""

    base: int
    data: bytes
    table: PartitionTable
    family: str | None
    flash_size: int | None
    kind: str = "esp32"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its content."""
        return (Segment(self.base, self.data),)

    @property
    def table_range(self) -> Range:
        """Where the partition table is."""
        return Range(partition_table.ADDRESS, partition_table.SIZE)

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return the file with other content; what nothing says anything about is erased."""
        return fill(self.base, self.segments, cleared, added)

    def add_partition(self, size: int) -> tuple[Esp32File, str | None]:
        """Return the file with a partition for ROMFS in its table, and a warning or None. Raises BoardError."""
        if self.flash_size is None:
            raise BoardError("the file does not say how large the flash is, so no partition can be added")
        table, warning = partition_table.add_romfs(self.table, size, self.flash_size)
        place = self.table_range
        data = fill(self.base, self.segments, [place], [Segment(place.address, partition_table.build(table))])
        return self._replace(data=data, table=table), warning


def read(data: bytes) -> Esp32File | None:
    """Return the merged file in ``data``, or None if it is not one. Raises ImageError for a broken partition table."""
    base = _find_base(data)
    if base is None:
        return None
    at = partition_table.ADDRESS - base
    table = partition_table.parse(data[at : at + partition_table.SIZE], at)
    header = _image_header(base, data, table)
    family = None if header is None else _chip(header)
    return Esp32File(base, data, table, family, None if header is None else _flash_size(header))


def is_app(data: bytes) -> bool:
    """Return whether ``data`` begins like an image of the ESP32 family, of an application or of a boot loader."""
    return len(data) > _HEADER_SIZE and data[0] == IMAGE_MAGIC and _chip(data) is not None


def with_table(app: bytes, table: bytes) -> Esp32File:
    """Return the file of an application and its partition table, without a boot loader: it begins at the table.

    Raises ImageError for a broken table, and BoardError if the application does not fit.
    """
    parsed = partition_table.parse(table)
    place = next((entry for entry in parsed.entries if entry.type == partition_table.APP), None)
    if place is None:
        raise BoardError("the partition table has no partition for an application")
    if len(app) > place.range.size:
        size = f"{len(app):,} bytes, {len(app) - place.range.size:,} more than the partition {place.label} has"
        raise BoardError(f"the application has {size}")
    base = partition_table.ADDRESS
    sector = table[: partition_table.SIZE].ljust(partition_table.SIZE, ERASED)
    data = fill(base, [Segment(base, sector)], [], [Segment(place.range.address, app)])
    return Esp32File(base, data, parsed, _chip(app), _flash_size(app))


def _find_base(data: bytes) -> int | None:
    """Return the flash address of the first byte of a merged file, or None if ``data`` is not one."""
    for base in (0, 0x1000, 0x2000):
        table = partition_table.ADDRESS - base
        if data[table : table + 2] != partition_table.MAGIC:
            continue
        for start in (0, 0x1000, 0x2000):
            header = data[start - base : start - base + _HEADER_SIZE] if start >= base else b""
            if is_app(header + b"\0") and _BOOT_LOADERS.get(_chip(header) or "", 0) == start:
                return base
    return partition_table.ADDRESS if _is_table(data) else None


def _is_table(data: bytes) -> bool:
    """Return whether a file begins with a partition table that is followed by more."""
    if not data.startswith(partition_table.MAGIC) or len(data) <= partition_table.SIZE:
        return False
    try:
        partition_table.parse(data[: partition_table.SIZE])
    except ImageError:
        return False
    return True


def _image_header(base: int, data: bytes, table: PartitionTable) -> bytes | None:
    """Return the header of the boot loader or of the application, the first that there is."""
    places = [0, 0x1000, 0x2000]
    places += [entry.range.address for entry in table.entries if entry.type == partition_table.APP]
    headers = (data[at - base : at - base + _HEADER_SIZE + 1] for at in places if at >= base)
    return next(filter(is_app, headers), None)


def _chip(header: bytes) -> str | None:
    return _CHIPS.get(int.from_bytes(header[_CHIP_AT : _CHIP_AT + 2], "little"))


def _flash_size(header: bytes) -> int | None:
    exponent = header[_FLASH_SIZE_AT] >> 4
    return _MIB << exponent if exponent <= _MAX_EXPONENT else None
