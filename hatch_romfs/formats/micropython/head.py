"""What the first bytes of a partition say about the image in it.

Other tools write headers that ours does not: OpenMV's builder pads the length with ``0x80`` until the header is
16 bytes, and an image may have an odd size. Boards mount these, so they are recognized here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.formats.micropython import metadata, records

if TYPE_CHECKING:
    from hatch_romfs.formats.micropython.metadata import Metadata


class ImageHead(NamedTuple):
    """An image of ``size`` bytes, whose payload begins at ``payload_offset``."""

    size: int
    payload_offset: int
    metadata: Metadata | None


def read_head(head: bytes, limit: int) -> ImageHead | None:
    """Return what ``head``, the first bytes of ``limit`` bytes of memory, says about the image there.

    None where a board would not mount it: no image, a length that does not end within ``head``, or a size that
    exceeds ``limit``. Only the header and the metadata are looked at, not the records.
    """
    if not head.startswith(records.MAGIC):
        return None
    length = _number(head, len(records.MAGIC))
    if length is None or length[1] + length[0] > limit:
        return None
    payload = length[1]
    size = payload + length[0]
    return ImageHead(size, payload, _metadata(head[:size], payload))


def mounted_size_matches(head: ImageHead, blocks: int) -> bool:
    """Whether a board that reports ``blocks``, ``statvfs`` index 2, has mounted an image with this head.

    Every release from MicroPython 1.25 to 1.29 reports the size of the payload, without the header; the
    documentation calls it the size of the image, so that is accepted too.
    """
    return blocks in (head.size - head.payload_offset, head.size)


def _metadata(image: bytes, payload: int) -> Metadata | None:
    """Return the metadata in the first record; None where the record is a different one or not all of it is known."""
    kind = _number(image, payload)
    if kind is None or kind[0] != records.PADDING:
        return None
    size = _number(image, kind[1])
    if size is None or size[1] + size[0] > len(image):
        return None
    return metadata.decode(image[size[1] : size[1] + size[0]])


def _number(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the varuint at ``at`` and the offset behind it; None where it does not end or passes 32 bits."""
    value = 0
    for offset in range(at, len(data)):
        value = value << 7 | data[offset] & 0x7F
        if value > records.MAX_NUMBER:
            return None
        if data[offset] < 0x80:  # noqa: PLR2004 - the high bit says that more follows
            return value, offset + 1
    return None
