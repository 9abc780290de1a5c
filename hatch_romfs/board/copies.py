"""Find what a new image has in common with an old one, and describe to a board how to assemble it from both."""

from __future__ import annotations

import binascii
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHORTEST: Final = 32
"""Bytes of the shortest content that is looked for, unless the old image is large."""
MOST_PIECES: Final = 1 << 16
"""Pieces of the old image that are looked for at most: it is divided into larger ones if it is large."""
PATIENCE: Final = 1 << 14
"""Bytes without a match after which not every offset is tried anymore."""
LITERAL: Final = 0xFFFFFFFF
"""The offset that stands for bytes that follow; no partition is that large."""


@dataclass(frozen=True, slots=True)
class Copy:
    """``size`` bytes at the offset ``at`` of the new image that are at the offset ``source`` of the old one."""

    at: int
    source: int
    size: int

    def part(self, start: int, end: int) -> Copy:
        """Return what is between two offsets of the new image."""
        start, end = max(start, self.at), min(end, self.at + self.size)
        return Copy(start, self.source + start - self.at, end - start)

    def before(self, end: int) -> Copy:
        """Return what is before an offset of the old image."""
        return Copy(self.at, self.source, min(self.size, end - self.source))


def find_copies(old: bytes, new: bytes, ranges: Iterable[tuple[int, int]]) -> Iterator[Copy]:
    """Yield what the ``ranges`` of the new image, pairs of start and end, have in common with the old one, in order.

    The old image is divided into pieces of the same size. Wherever one of them is in the new image, the bytes before
    and after it are compared too. So common content of at least two pieces is found, wherever it moved.
    """
    size = SHORTEST
    while len(old) > size * MOST_PIECES:
        size *= 2
    places = {old[at : at + size]: at for at in range(len(old) // size * size - size, -1, -size)}
    for byte in range(256):  # such bytes compress to almost nothing, and would be found everywhere
        places.pop(bytes([byte]) * size, None)
    for start, end in ranges:
        at = done = start
        while at + size <= end:
            piece = new[at : at + size]
            source = at if old[at : at + size] == piece else places.get(piece)
            if source is None:
                # An odd number of bytes, so that a piece that is skipped now is still found a little later.
                at += 1 + 2 * ((at - done) // PATIENCE)
                continue
            before = 0
            while at - before > done and before < source and new[at - before - 1] == old[source - before - 1]:
                before += 1
            after = _common(new, at, old, source, min(end - at, len(old) - source))
            yield Copy(at - before, source - before, before + after)
            at = done = at + after


def _common(new: bytes, at: int, old: bytes, source: int, most: int) -> int:
    """Return how many bytes from two offsets on are equal, at most ``most``."""
    done, step = 0, 64
    while done < most:
        step = min(step, most - done)
        if new[at + done : at + done + step] == old[source + done : source + done + step]:
            done += step
            step *= 2
        elif step == 1:
            break
        else:
            step //= 2
    return done


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a board puts bytes together, as ``data`` for it; ``copied`` of them are old content."""

    data: bytes
    copied: int


def recipe(copies: Sequence[Copy], at: int, data: bytes) -> Recipe | None:
    """Return how to put together ``data``, which belongs at the offset ``at``; None if nothing of it can be copied.

    ``copies`` are in order. A recipe begins with the CRC-32 of ``data``. A piece of it is the offset of old content, or
    LITERAL, and a size, both in four bytes; those of a literal follow.
    """
    end = at + len(data)
    pieces = [binascii.crc32(data).to_bytes(4, "big")]
    done, copied = at, 0
    for copy in _between(copies, at, end):
        if copy.at > done:
            pieces.append(_piece(LITERAL, copy.at - done) + data[done - at : copy.at - at])
        pieces.append(_piece(copy.source, copy.size))
        done = copy.at + copy.size
        copied += copy.size
    if not copied:
        return None
    if done < end:
        pieces.append(_piece(LITERAL, end - done) + data[done - at :])
    return Recipe(b"".join(pieces), copied)


def _between(copies: Sequence[Copy], start: int, end: int) -> Iterator[Copy]:
    """Yield the parts of copies that are between two offsets of the new image."""
    index = max(0, bisect_right(copies, start, key=attrgetter("at")) - 1)
    while index < len(copies) and copies[index].at < end:
        copy = copies[index].part(start, end)
        if copy.size > 0:
            yield copy
        index += 1


def _piece(source: int, size: int) -> bytes:
    return source.to_bytes(4, "big") + size.to_bytes(4, "big")
