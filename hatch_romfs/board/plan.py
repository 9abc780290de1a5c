"""The steps that bring an image into a partition, decided from plain data before anything is changed.

A power cut at any moment leaves the old image (nothing was erased yet), or no valid header, or the new image: the
header is made invalid first, everything else is written and verified, and the magic, without which nothing mounts,
is written last.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from hatch_romfs.formats.micropython.records import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.board.copies import Copy

ERASE_AT_ONCE: Final = 64 << 10
"""Bytes erased by one call, unless a block is larger: no call on a board takes long."""

Erasing: TypeAlias = Literal["blocks", "all", "nothing", "never"]
"""What can be erased: blocks, everything from the start, nothing because it can be overwritten; or read-only."""
Reprogramming: TypeAlias = Literal["any", "clear", "once", "none"]
"""What a second write to programmed bytes can do without an erase.

``any``: replace them (MRAM). ``clear``: clear bits, any number of times (plain NOR flash). ``once``: clear bits, but
each word takes only two writes (nRF). ``none``: nothing (flash with error correction, encrypted flash).
"""
Action: TypeAlias = Literal["save", "clear", "invalidate", "erase", "write", "forget", "prepare", "verify", "commit"]
"""What a step does.

``save`` copies old content into the board's memory, and ``forget`` frees that again.
``clear`` makes the header invalid by clearing the bits of its magic, ``invalidate`` by erasing its block.
``prepare`` writes the header's unit without the magic, which ``commit`` adds; without a ``prepare``, ``commit``
writes the whole unit.
"""


@dataclass(frozen=True, slots=True)
class Geometry:
    """A partition: ``size``, ``block`` (erased and compared at once) and ``unit`` (of writing) in bytes."""

    size: int
    block: int
    unit: int
    erasing: Erasing
    reprogramming: Reprogramming = "none"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do to ``length`` bytes at ``offset``."""

    action: Action
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.action:10} {self.offset:#010x} {self.length:>9,} bytes"


@dataclass(frozen=True, slots=True)
class Block:
    """State of one block on the board: the hash of the bytes that the image covers, and whether it is all erased."""

    digest: str
    blank: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order. Without any but ``verify``, the partition seems to hold the image already.

    ``kept`` is the number of blocks that stay as they are; ``copies`` is what the board copies from its old content.
    """

    steps: tuple[Step, ...]
    kept: int
    copies: tuple[Copy, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.steps):,} steps, {self.writes:,} bytes to write, {self.kept:,} kept>"

    @property
    def writes(self) -> int:
        """The number of bytes of the image that will be written."""
        return sum(step.length for step in self.steps if step.action in ("write", "commit"))

    @property
    def copied(self) -> int:
        """The number of bytes of the image that the board has already and copies."""
        return sum(copy.size for copy in self.copies)


def spans(size: int, block: int) -> list[tuple[int, int]]:
    """Return offset and length of the part that each block has of an image of ``size`` bytes."""
    return [(start, min(block, size - start)) for start in range(0, size, block)]


def digests(image: memoryview, block: int, algorithm: Callable[[memoryview], str] | None = None) -> list[str]:
    """Return the hash of the image's part of each block, as boards compute it."""
    algorithm = algorithm or (lambda data: hashlib.sha256(data).hexdigest())
    return [algorithm(image[start : start + size]) for start, size in spans(len(image), block)]


def make_plan(  # noqa: PLR0913 - what is decided from
    size: int,
    wanted: Sequence[str],
    there: Sequence[Block],
    geometry: Geometry,
    *,
    full: bool = False,
    at_once: int = ERASE_AT_ONCE,
) -> Plan:
    """Decide how an image of ``size`` bytes gets into a partition.

    ``wanted`` are the hashes of the image's blocks, ``there`` is the state of the partition's blocks; ``full`` writes
    every block, whatever is there. ``at_once`` bytes are erased at once, unless a block is larger.
    """
    parts = spans(size, geometry.block)
    differing = [n for n, want in enumerate(wanted) if full or there[n].digest != want]
    if not differing:
        return Plan((Step("verify", 0, size),), kept=len(parts))
    head = min(geometry.unit, size)
    if geometry.erasing == "all":
        return _all_or_nothing(size, parts, differing, there, geometry)
    erase = geometry.erasing == "blocks"
    steps = list(_beginning(geometry))
    if erase:
        steps.append(Step("invalidate", 0, geometry.block))
    for start, stop in _runs([n for n in differing if n], max(1, at_once // geometry.block)):
        offset = parts[start][0]
        if erase:
            steps.append(Step("erase", offset, (stop - start) * geometry.block))
        steps.append(Step("write", offset, parts[stop - 1][0] + parts[stop - 1][1] - offset))
    rest = parts[0][1] - head
    if rest and (erase or 0 in differing):
        steps.append(Step("write", head, rest))
    return Plan((*steps, *_end(size, geometry)), kept=len(parts) - len({0, *differing}))


def _all_or_nothing(
    size: int, parts: list[tuple[int, int]], differing: list[int], there: Sequence[Block], geometry: Geometry
) -> Plan:
    """Plan for a partition that can only be erased from the start.

    After a cut, blocks that are still erased can be written without erasing again, if the header's is one.
    """
    head = min(geometry.unit, size)
    resume = there[0].blank and all(there[n].blank for n in differing)
    todo = differing if resume else list(range(len(parts)))
    steps = [] if resume else [*_beginning(geometry), Step("invalidate", 0, size)]
    for start, stop in _runs([n for n in todo if n], len(parts)):  # long runs: there is more in them to deflate
        steps.append(Step("write", parts[start][0], parts[stop - 1][0] + parts[stop - 1][1] - parts[start][0]))
    if parts[0][1] > head:
        steps.append(Step("write", head, parts[0][1] - head))
    return Plan((*steps, *_end(size, geometry)), kept=len(parts) - len({0, *todo}))


def _beginning(geometry: Geometry) -> tuple[Step, ...]:
    """Make the header invalid without an erase, where that works: an erase that is cut short can leave anything."""
    return (Step("clear", 0, len(MAGIC)),) if geometry.reprogramming in ("any", "clear") else ()


def _end(size: int, geometry: Geometry) -> tuple[Step, ...]:
    """Verify everything that can be there before the commit, and the header's block after it."""
    head = min(geometry.unit, size)
    last = Step("verify", 0, min(geometry.block, size))
    if geometry.reprogramming != "none":
        magic = len(MAGIC)
        return (Step("prepare", 0, head), Step("verify", magic, size - magic), Step("commit", 0, head), last)
    before = (Step("verify", head, size - head),) if size > head else ()
    return (*before, Step("commit", 0, head), last)


def _runs(numbers: list[int], longest: int) -> list[tuple[int, int]]:
    """Join numbers that follow one another into (first, behind the last), none longer than ``longest``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number and number - runs[-1][0] < longest:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
