"""Firmware and images to one file: first what to change, as plain data, and then the bytes of the file."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BoardError, SettingsError
from hatch_romfs.firmware.content import is_replaceable, supports_romfs
from hatch_romfs.firmware.esp32 import Esp32File
from hatch_romfs.firmware.files import find_partitions
from hatch_romfs.firmware.memory import ERASED, Range, Segment
from hatch_romfs.firmware.model import SECTOR, Firmware
from hatch_romfs.firmware.uf2 import Uf2File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_romfs.firmware.model import FirmwareFile, Partition

_SUPERBLOCKS = 2 * SECTOR
"""LittleFS keeps its superblock in two blocks, and mounts if either is valid, so that both have to be erased."""


class BundlePlan(NamedTuple):
    """What becomes of the firmware: ``cleared`` ranges lose their content, and then contain what is ``added``.

    ``partitions`` are those that get an image, by number.
    """

    firmware: Firmware
    cleared: tuple[Range, ...]
    added: tuple[Segment, ...]
    partitions: dict[int, Partition]
    warnings: tuple[str, ...]

    def build(self) -> bytes:
        """Return the bytes of the bundle. Raises BoardError if a file of this kind cannot contain it."""
        return self.firmware.file.replace(self.cleared, self.added)


def plan_bundle(
    firmware: Firmware, images: Mapping[int, bytes], *, add_partition: int | None = None, erase_fs: bool = False
) -> BundlePlan:
    """Plan the bundle of firmware and ``images``, by number of partition.

    ``add_partition`` is the size in bytes of a new ROMFS partition of an ESP32. ``erase_fs`` erases the start of the
    writable filesystem. Raises BoardError if something is missing, too large, or already used.
    """
    warnings: list[str] = []
    if add_partition is not None:
        firmware, warning = _add_partition(firmware, add_partition)
        if warning and not erase_fs:
            warnings.append(warning)
    segments = firmware.file.segments
    if supports_romfs(segments) is False:
        warnings.append(
            "the firmware was built without ROMFS: it does not contain VfsRom, and will not mount the image; build it"
            " with MICROPY_VFS_ROM=1"
        )
    places = {number: _partition(firmware, number, len(image)) for number, image in images.items()}
    added = [Segment(places[number].address, image) for number, image in images.items()]
    cleared = [place.range for place in places.values()]
    if erase_fs:
        start = _filesystem_start(firmware)
        cleared.append(start)
        added.append(Segment(start.address, ERASED * start.size))
    _check_disjoint(cleared)
    return BundlePlan(firmware, tuple(cleared), tuple(sorted(added)), places, tuple(warnings))


def _partition(firmware: Firmware, number: int, size: int) -> Partition:
    """Return the partition for an image of ``size`` bytes. Raises BoardError if it cannot take the image."""
    if not firmware.partitions:
        raise missing_partition(firmware.file)
    if number >= len(firmware.partitions):
        count = len(firmware.partitions)
        last = f"partitions 0 to {count - 1}" if count > 1 else "partition 0"
        raise BoardError(f"the firmware has only {last}, not {number}")
    partition = firmware.partitions[number]
    if size > partition.size:
        excess = f"{size - partition.size:,} more than the {partition.size:,} of the partition"
        raise BoardError(f"the image is {size:,} bytes, {excess} at {partition.address:#x}")
    if isinstance(firmware.file, Uf2File) and (partition.address % SECTOR or partition.size % SECTOR):
        raise BoardError(f"the partition at {partition.range} does not consist of whole sectors of {SECTOR:,} bytes")
    if firmware.filesystem and partition.range.overlaps(firmware.filesystem):
        raise BoardError(
            f"the partition at {partition.range} overlaps the writable filesystem at {firmware.filesystem}",
            hint=f"The address comes from: {partition.source}.",
        )
    if not is_replaceable(firmware.file.segments, partition):
        raise BoardError(
            f"the partition at {partition.range} overlaps the firmware, or contains something else than an image",
            hint=f"The address comes from: {partition.source}.",
        )
    return partition


def _check_disjoint(places: Sequence[Range]) -> None:
    """Refuse partitions that overlap, as the user can state them. Raises SettingsError."""
    for lower, upper in pairwise(sorted(places)):
        if lower.overlaps(upper):
            raise SettingsError(f"the partitions at {lower} and {upper} overlap", hint="Check --address and --size.")


def missing_partition(file: FirmwareFile) -> BoardError:
    """Return the error for firmware in which no ROMFS partition is known, with what to do about it."""
    if isinstance(file, Esp32File):
        return BoardError(
            "the partition table has no data partition with the label romfs",
            hint="--add-partition SIZE adds one. The firmware also needs the driver, MICROPY_VFS_ROM=1, which stock"
            " firmware does not have.",
        )
    if file.family == "rp2" or (isinstance(file, Uf2File) and file.is_rp2):
        return BoardError(
            "the firmware declares no ROMFS partition",
            hint="Build MicroPython with -DMICROPY_HW_ROMFS_BYTES=524288, or another multiple of 4096. Firmware from"
            " before July 2026 does not declare its partition: say where it is, with --address and --size.",
        )
    return BoardError(
        "firmware of this kind does not say where its ROMFS partition is",
        hint="Say where it is, with --address and --size, or name the board, with --board.",
    )


def _add_partition(firmware: Firmware, size: int) -> tuple[Firmware, str | None]:
    if not isinstance(firmware.file, Esp32File):
        raise SettingsError(f"only ESP32 firmware has a partition table to add to, not a {firmware.file.kind} file")
    file, warning = firmware.file.add_partition(size)
    return Firmware(file, *find_partitions(file)), warning


def _filesystem_start(firmware: Firmware) -> Range:
    """Return what to erase so that the firmware makes a new filesystem. Raises BoardError if that is not known."""
    place = firmware.filesystem
    if place is None:
        raise BoardError("the firmware does not say where its writable filesystem is, so it cannot be erased")
    return Range(place.address, min(place.size, _SUPERBLOCKS))
