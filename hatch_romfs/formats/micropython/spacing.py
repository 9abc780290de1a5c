"""The padding between files that keeps an edit from moving much of the image, and so from changing many erase blocks.

Without padding, a file that grows by a byte moves everything after it. Where a record ends at a multiple of some bytes,
most edits fit into the padding after it, and move nothing else. So runs of files end at multiples, and a run ends where
the hash of a path is the smallest among its neighbors: that depends on nothing but paths, and a file that is added or
removed changes only the runs around it. A large file begins at a multiple that grows with its size, because moving it
costs the most.

The numbers are compromises, which ``benchmarks/layout.py`` measures.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hatch_romfs.tree import Directory

_LARGEST_MULTIPLE = 64 << 10
"""The multiple at which the largest files begin: a large erase block."""
_SMALLEST_MULTIPLE = 256
"""A file for which a smaller multiple would do is not large."""


class Runs(NamedTuple):
    """Runs of files that end at a ``multiple`` of bytes.

    A path ends one if its hash is the smallest among ``reach`` neighbors on each side, or if the run has ``longest``
    files. The first and the last paths have fewer neighbors; they end runs only if these are ``near_edges``.
    """

    reach: int
    longest: int
    multiple: int
    near_edges: bool


class Spacing(NamedTuple):
    """Where padding is: at the end of each record and of ``runs``, of which the last ones count the most.

    Before a large file it is less than ``1 / part`` of its size. The lengths of directories have at least ``width``
    bytes, so that a directory that grows does not move its content.
    """

    record: int
    runs: tuple[Runs, ...]
    part: int
    width: int


COMPACT = Spacing(record=1, runs=(Runs(reach=14, longest=64, multiple=256, near_edges=False),), part=128, width=1)
"""A thousandth or two of the size, for half of what edits change; an image of few and small files has no padding."""
STABLE = Spacing(
    record=64,
    runs=(
        Runs(reach=2, longest=6, multiple=512, near_edges=True),
        Runs(reach=14, longest=32, multiple=1024, near_edges=True),
        Runs(reach=30, longest=60, multiple=2048, near_edges=True),
    ),
    part=32,
    width=4,
)
"""With real modules of 1.7 KB on average, 6 to 7 % of the size. Each multiple divides the next one."""


class Space(NamedTuple):
    """Multiples, in bytes from the start of the image, at which a file's record begins and ends."""

    begin: int = 1
    end: int = 1


def spaces(root: Directory, spacing: Spacing, same: Collection[str]) -> dict[str, Space]:
    """Return the space of each file below ``root``, by path; those in ``same`` have no data of their own."""
    entries = list(files(root))
    hashes = [zlib.crc32(path.encode()) for path, _ in entries]
    ends = dict.fromkeys(range(len(entries)), spacing.record)
    for runs in spacing.runs:
        ends |= dict.fromkeys(_run_ends(hashes, runs), runs.multiple)
    return {
        path: Space(1 if path in same else _begin(file.size, spacing.part), ends[position])
        for position, (path, file) in enumerate(entries)
    }


def _run_ends(hashes: Sequence[int], runs: Runs) -> Iterator[int]:
    """Yield the last position of each run except the last one."""
    length = 0
    for position, value in enumerate(hashes):
        length += 1
        neighbors = hashes[max(0, position - runs.reach) : position + runs.reach + 1]
        can_end = runs.near_edges or len(neighbors) == 2 * runs.reach + 1
        if (can_end and value == min(neighbors)) or length == runs.longest:
            yield position
            length = 0


def _begin(size: int, part: int) -> int:
    """Return the multiple at which a file of ``size`` bytes begins: a power of two."""
    multiple = min(size // part, _LARGEST_MULTIPLE)
    return 1 << multiple.bit_length() - 1 if multiple >= _SMALLEST_MULTIPLE else 1
