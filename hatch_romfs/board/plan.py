"""What has to be done to a partition, worked out from plain data before anything is.

At any moment a cut of power leaves either the old image whole (nothing erased yet), or no valid header, or the
new image whole: the header's block is erased first, everything else is written and read back, and the header's
first unit, without which nothing mounts, is written last.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ERASE_AT_ONCE: Final = 64 << 10
"""Bytes erased by one call, where blocks are no larger: no call on a board takes long."""

Erasing: TypeAlias = Literal["blocks", "all", "nothing", "never"]
"""What can be erased: blocks, everything from the start, nothing because it can be overwritten; or read-only."""
Action: TypeAlias = Literal["invalidate", "erase", "write", "verify", "commit"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A partition: ``size``, ``block`` (what is erased and compared at once) and ``unit`` (of writing) in bytes."""

    size: int
    block: int
    unit: int
    erasing: Erasing


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
    """What a block of the partition holds now: the hash of the image's part of it, and whether all of it is erased."""

    digest: str
    blank: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order; without any but ``verify`` the partition holds the image already."""

    steps: tuple[Step, ...]
    kept: int

    @property
    def writes(self) -> int:
        """How many bytes of the image will be written."""
        return sum(step.length for step in self.steps if step.action in ("write", "commit"))


def spans(size: int, block: int) -> list[tuple[int, int]]:
    """Return offset and length of the part that each block has of an image of ``size`` bytes."""
    return [(start, min(block, size - start)) for start in range(0, size, block)]


def digests(image: memoryview, block: int, algorithm: Callable[[memoryview], str] | None = None) -> list[str]:
    """Return the hash of the image's part of each block, as boards give it."""
    algorithm = algorithm or (lambda data: hashlib.sha256(data).hexdigest())
    return [algorithm(image[start : start + size]) for start, size in spans(len(image), block)]


def make_plan(
    size: int, wanted: Sequence[str], there: Sequence[Block], geometry: Geometry, *, full: bool = False
) -> Plan:
    """Decide how an image of ``size`` bytes gets into a partition.

    ``wanted`` are the hashes of the image's blocks, ``there`` what the partition's blocks hold; ``full`` writes
    every block, whatever is there.
    """
    parts = spans(size, geometry.block)
    differing = [n for n, want in enumerate(wanted) if full or there[n].digest != want]
    if not differing:
        return Plan((Step("verify", 0, size),), kept=len(parts))
    head = min(geometry.unit, size)
    if geometry.erasing == "all":
        return _all_or_nothing(size, parts, differing, there, head)
    erase = geometry.erasing == "blocks"
    steps = [Step("invalidate", 0, geometry.block if erase else head)]
    for start, stop in _runs([n for n in differing if n], max(1, ERASE_AT_ONCE // geometry.block)):
        offset = parts[start][0]
        if erase:
            steps.append(Step("erase", offset, (stop - start) * geometry.block))
        steps.append(Step("write", offset, parts[stop - 1][0] + parts[stop - 1][1] - offset))
    rest = parts[0][1] - head
    if rest and (erase or 0 in differing):
        steps.append(Step("write", head, rest))
    return Plan((*steps, *_end(size, head)), kept=len(parts) - len({0, *differing}))


def _all_or_nothing(
    size: int, parts: list[tuple[int, int]], differing: list[int], there: Sequence[Block], head: int
) -> Plan:
    """Plan for a partition that can only be erased from the start.

    After a cut, blocks that are still erased can be written without erasing again, if the header's is one.
    """
    resume = there[0].blank and all(there[n].blank for n in differing)
    todo = differing if resume else list(range(len(parts)))
    steps = [] if resume else [Step("invalidate", 0, size)]
    for start, stop in _runs([n for n in todo if n], len(parts)):  # long ones: there is more in them to deflate
        steps.append(Step("write", parts[start][0], parts[stop - 1][0] + parts[stop - 1][1] - parts[start][0]))
    if parts[0][1] > head:
        steps.append(Step("write", head, parts[0][1] - head))
    return Plan((*steps, *_end(size, head)), kept=len(parts) - len({0, *todo}))


def _end(size: int, head: int) -> tuple[Step, ...]:
    before = (Step("verify", head, size - head),) if size > head else ()
    return (*before, Step("commit", 0, head), Step("verify", 0, size))


def _runs(numbers: list[int], longest: int) -> list[tuple[int, int]]:
    """Join numbers that follow one another into (first, behind the last), none longer than ``longest``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number and number - runs[-1][0] < longest:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
