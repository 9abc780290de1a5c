"""Numbers and records where they are in an image; every one is checked, because the image can be hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython.records import MAX_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.formats.image import View


def read_number(view: View, at: int, end: int) -> tuple[int, int]:
    """Return the varuint at ``at`` and the offset after it. Raises ImageError if it does not end before ``end``."""
    start, value = at, 0
    while at < end:
        byte = view[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if value > MAX_NUMBER:
            raise ImageError("a number is larger than 32 bits", offset=start)
        if byte < 0x80:  # noqa: PLR2004 - the high bit means that more follow
            return value, at
    raise ImageError("a number extends past the end of its record", offset=start)


def read_records(view: View, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the kind, the offset, the offset of the payload, and the end of each record. Raises ImageError."""
    while at < end:
        start = at
        kind, at = read_number(view, at, end)
        size, at = read_number(view, at, end)
        if kind == 0:
            raise ImageError("a record of kind 0: the image is corrupt", offset=start)
        if size > end - at:
            raise ImageError(f"a record of {size} bytes is larger than its parent", offset=start)
        yield kind, start, at, at + size
        at += size
