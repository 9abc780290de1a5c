"""What a firmware file is, for machines and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import ImageError
from hatch_romfs.firmware.content import image_bytes, is_blank, open_partition, readable_partitions, supports_romfs

if TYPE_CHECKING:
    from hatch_romfs.firmware.memory import Range
    from hatch_romfs.firmware.model import Firmware, Partition


def describe(firmware: Firmware) -> dict[str, object]:
    """Return the kind of firmware, its chip family, its ranges, and its partitions with their content."""
    file = firmware.file
    return {
        "kind": file.kind,
        "family": file.family,
        "ranges": [_place(segment.range) for segment in file.segments],
        "partitions": [_partition(firmware, partition) for partition in readable_partitions(firmware)],
        "filesystem": firmware.filesystem and _place(firmware.filesystem),
        "supports_romfs": supports_romfs(file.segments),
    }


def _place(place: Range) -> dict[str, int]:
    return {"address": place.address, "size": place.size}


def _partition(firmware: Firmware, partition: Partition) -> dict[str, object]:
    return {
        "name": partition.name,
        **_place(partition.range),
        "source": partition.source,
        "content": _content(firmware, partition),
    }


def _content(firmware: Firmware, partition: Partition) -> dict[str, object] | None:
    """Return what is in a partition, or None if it is blank."""
    segments = firmware.file.segments
    if is_blank(segments, partition):
        return None
    if image_bytes(segments, partition) is None:
        return {"problem": "not a ROMFS image"}
    try:
        image = open_partition(firmware, partition)
        image.check()
    except ImageError as error:
        return {"problem": error.message}
    return {"name": image.name, "version": image.version, "size": image.size, "sha256": image.sha256()}
