"""A layout to the bytes of an image, as a stream: nothing is decided here, and no image is in memory as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.formats.linux import headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.formats.linux.layout import Layout


def image_chunks(layout: Layout) -> Iterator[bytes | memoryview]:
    """Yield the image's bytes in order, its padding included.

    Raises BuildError if a file has changed since it was collected.
    """
    checked = min(headers.CHECKED, layout.size)
    start = bytearray(headers.superblock(layout.size, layout.volume))
    rest = _records(layout, len(start))
    while len(start) < checked:  # the checksum of the superblock covers what follows it
        start += next(rest)
    missing = -headers.checksum(start[:checked]) & 0xFFFF_FFFF
    word = int.from_bytes(start[12:16], "big") + missing & 0xFFFF_FFFF
    start[12:16] = word.to_bytes(4, "big")
    yield bytes(start)
    yield from rest


def _records(layout: Layout, at: int) -> Iterator[bytes | memoryview]:
    for record in layout.records:
        header = record.header
        if header.offset != at:
            yield bytes(header.offset - at)
        yield headers.encode(header)
        if record.content is not None:
            yield from record.content.chunks()
        at = header.end
    yield bytes(layout.padded - at)
