"""The content of a firmware file as memory: ranges of bytes at addresses, in order and without overlaps."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ERASED = b"\xff"
"""What a byte of erased flash contains."""
MAX_ADDRESS = 1 << 32


class Range(NamedTuple):
    """``size`` bytes of memory from ``address`` on."""

    address: int
    size: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.size

    def overlaps(self, other: Range) -> bool:
        """Return whether the two have an address in common."""
        return self.address < other.end and other.address < self.end

    def __str__(self) -> str:
        return f"{self.address:#x}-{self.end:#x}"


class Segment(NamedTuple):
    """Bytes at an address."""

    address: int
    data: bytes

    @property
    def range(self) -> Range:
        """Where the bytes are."""
        return Range(self.address, len(self.data))


class Piece(NamedTuple):
    """Bytes at an address, from the place ``number`` of a file, such as a block, ``offset`` bytes from its start."""

    address: int
    data: bytes
    number: int
    offset: int


def join(pieces: Iterable[Piece], noun: str) -> tuple[Segment, ...]:
    """Return the memory that pieces describe; ``noun`` is what messages call one. Raises ImageError for overlaps."""
    segments: list[Segment] = []
    parts: list[bytes] = []
    last: Piece | None = None
    for piece in sorted(pieces, key=lambda piece: (piece.address, piece.number)):
        end = last.address + len(last.data) if last else -1
        if piece.address + len(piece.data) > MAX_ADDRESS:
            raise ImageError(f"{noun} {piece.number} passes the end of 32-bit memory", offset=piece.offset)
        if last and piece.address < end:
            later, earlier = (piece, last) if piece.number > last.number else (last, piece)
            message = f"{noun} {later.number} at {later.address:#x} overlaps {noun} {earlier.number}"
            raise ImageError(f"{message} at {earlier.address:#x}", offset=later.offset)
        if last and piece.address > end:
            segments.append(_segment(end, parts))
            parts = []
        parts.append(piece.data)
        last = piece
    if last:
        segments.append(_segment(last.address + len(last.data), parts))
    return tuple(segments)


def _segment(end: int, parts: list[bytes]) -> Segment:
    data = b"".join(parts)
    return Segment(end - len(data), data)


def inside(segments: Sequence[Segment], place: Range) -> Iterator[Segment]:
    """Yield the parts of ``segments`` that are in ``place``."""
    first = bisect_right(segments, place.address, key=lambda segment: segment.address) - 1
    for index in range(max(first, 0), len(segments)):
        segment = segments[index]
        if segment.address >= place.end:
            return
        start = max(segment.address, place.address)
        stop = min(segment.range.end, place.end)
        if start < stop:
            yield Segment(start, segment.data[start - segment.address : stop - segment.address])


def outside(segments: Sequence[Segment], places: Iterable[Range]) -> list[Segment]:
    """Return the parts of ``segments`` that are in none of ``places``."""
    kept = list(segments)
    for place in places:
        below, above = Range(0, place.address), Range(place.end, MAX_ADDRESS - place.end)
        kept = [part for segment in kept for side in (below, above) for part in inside([segment], side)]
    return kept


def read(segments: Sequence[Segment], place: Range) -> bytes | None:
    """Return the bytes in ``place``, or None if some of them are not in ``segments``."""
    data = b"".join(part.data for part in inside(segments, place))
    return data if len(data) == place.size else None


def read_erased(segments: Sequence[Segment], place: Range) -> bytes:
    """Return the bytes in ``place`` as they are in flash that was erased before: the others are 0xff."""
    data = bytearray(ERASED) * place.size
    for part in inside(segments, place):
        start = part.address - place.address
        data[start : start + len(part.data)] = part.data
    return bytes(data)
