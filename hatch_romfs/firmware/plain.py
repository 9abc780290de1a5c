"""Plain binaries: the bytes of memory from one address on, with nothing else in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BoardError
from hatch_romfs.firmware.memory import ERASED, Range, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SIZE = 64 << 20
"""Bytes of a file that is written, at most: what is between two addresses has to be filled."""


class PlainFile(NamedTuple):
    """A plain binary whose first byte is at ``base``."""

    base: int
    data: bytes
    family: str | None = None
    kind: str = "bin"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its content."""
        return (Segment(self.base, self.data),) if self.data else ()

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return the file with other content; what nothing says anything about is erased."""
        return fill(self.base, [Segment(self.base, self.data)], cleared, added)


def fill(base: int, kept: Iterable[Segment], cleared: Iterable[Range], added: Iterable[Segment]) -> bytes:
    """Return the memory from ``base`` on: ``kept``, then ``cleared`` ranges in it, then ``added``.

    Raises BoardError if something is below ``base`` or much too far above it.
    """
    data = bytearray()
    for segment in kept:
        _write(data, base, segment)
    for place in cleared:
        size = max(min(base + len(data) - place.address, place.size), 0)
        _write(data, base, Segment(place.address, ERASED * size))
    for segment in added:
        _write(data, base, segment)
    return bytes(data)


def _write(data: bytearray, base: int, segment: Segment) -> None:
    start, end = segment.address - base, segment.range.end - base
    if not segment.data:
        return
    if start < 0:
        raise BoardError(f"{segment.range} is below {base:#x}, where the file begins")
    if end > MAX_SIZE:
        raise BoardError(
            f"a plain binary from {base:#x} to {segment.range.end:#x} would have {end:,} bytes",
            hint="Use firmware as Intel HEX, S-record, or DfuSe: these files can have holes.",
        )
    data.extend(ERASED * (start - len(data)))
    data[start:end] = segment.data
