"""What the partitions of a firmware file contain, and whether the firmware can mount it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import BoardError, ImageError
from hatch_romfs.firmware.memory import ERASED, Range, inside, read_erased
from hatch_romfs.firmware.model import Partition
from hatch_romfs.formats.micropython.head import read_head
from hatch_romfs.formats.micropython.image import RomImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.firmware.memory import Segment
    from hatch_romfs.firmware.model import Firmware

_NAME, _DRIVER = b"MicroPython", b"VfsRom"
"""Texts in every MicroPython, and in every one that has the driver of ROMFS: its name is an attribute of `vfs`."""

_HEAD = 4096
"""Bytes that are enough to see the header and the metadata of an image."""


def is_blank(segments: Sequence[Segment], partition: Partition) -> bool:
    """Return whether a file leaves a partition erased."""
    return all(not part.data.strip(ERASED) for part in inside(segments, partition.range))


def image_bytes(segments: Sequence[Segment], partition: Partition) -> bytes | None:
    """Return the bytes of the image in a partition, or None if there is none. The image can be damaged."""
    size = partition.size
    start = read_erased(segments, Range(partition.address, min(size, _HEAD)))
    head = read_head(start, size)
    return None if head is None else read_erased(segments, Range(partition.address, head.size))


def readable_partitions(firmware: Firmware) -> tuple[Partition, ...]:
    """Return the partitions that are known; or else those ranges of the file that begin with an image.

    That is enough to read an image, but not to write one: nothing says how large such a partition is.
    """
    if firmware.partitions:
        return firmware.partitions
    found = (Partition("romfs", *segment.range, "content") for segment in firmware.file.segments)
    return tuple(partition for partition in found if image_bytes(firmware.file.segments, partition) is not None)


def open_partition(firmware: Firmware, partition: Partition) -> RomImage:
    """Open the image in a partition. Raises BoardError if there is none, and ImageError if it is damaged."""
    data = image_bytes(firmware.file.segments, partition)
    if data is None:
        raise BoardError(f"the partition {partition.name} at {partition.address:#x} contains no ROMFS image")
    image = RomImage(data)
    image.origin = f"the image in the partition {partition.name}"
    return image


def check_partitions(firmware: Firmware) -> None:
    """Check every image in the firmware. Raises ImageError for one that is damaged."""
    for partition in readable_partitions(firmware):
        if image_bytes(firmware.file.segments, partition) is not None:
            with open_partition(firmware, partition) as image:
                image.check()


def is_replaceable(segments: Sequence[Segment], partition: Partition) -> bool:
    """Return whether a partition is blank, or contains an image and nothing else."""
    if is_blank(segments, partition):
        return True
    try:
        RomImage(read_erased(segments, partition.range))
    except ImageError:
        return False
    return True


def supports_romfs(segments: Sequence[Segment]) -> bool | None:
    """Return whether MicroPython was built with ROMFS, or None if this does not look like MicroPython."""
    if any(_DRIVER in segment.data for segment in segments):
        return True
    return False if any(_NAME in segment.data for segment in segments) else None
