"""A plan in which the board copies content that it already has, ordered so that no copy needs overwritten content.

The areas of a partition that are erased at once need each other's old content. Before an area is erased, what is still
needed of it, by itself or by areas that come later, is saved in the board's memory. The order keeps that small: if an
added file moves everything toward the end, it begins at the end. Content that does not fit into the memory is sent.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.copies import Copy, find_copies, recipe
from hatch_romfs.board.plan import ERASE_AT_ONCE, Plan, Step, make_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_romfs.board.plan import Action, Block, Geometry

CHUNK: Final = 1024
"""Bytes that the board saves at once: CHUNK in the agent."""
AGENT: Final = 16 << 10
"""Bytes of the board's memory that the agent takes, beside its buffers."""
OVERHEAD: Final = 1000
"""Bytes up the line of the part of the agent that copies."""
CALL: Final = 44
"""Bytes up the line for a step, beside its data."""
LATER: Final = 1 << 32
"""A position in the order after all others: that of the header's block."""


def memory_for(free: int) -> int:
    """Return how many bytes of old content are saved at most on a board with ``free`` bytes of memory."""
    return max(0, free // 2 - AGENT)


def is_possible(geometry: Geometry) -> bool:
    """Return whether old content is still there while other content is replaced, and can be saved."""
    return geometry.erasing in ("blocks", "nothing") and geometry.block % CHUNK == 0


def make_copying_plan(  # noqa: PLR0913, PLR0917 - what is decided from
    old: bytes, new: bytes, wanted: Sequence[str], there: Sequence[Block], geometry: Geometry, memory: int
) -> Plan:
    """Decide how a new image gets into a partition that has the old one, with the fewest bytes up the line.

    At most ``memory`` bytes are saved at any time; the other arguments are those of ``make_plan``.
    """
    plan = make_plan(len(new), wanted, there, geometry)
    size = max(geometry.block, min(ERASE_AT_ONCE, memory // 4))  # several areas can be saved at the same time
    fine = make_plan(len(new), wanted, there, geometry, at_once=size)
    areas = _Areas(fine, geometry.block)
    written = _joined((step.offset, step.offset + step.length) for step in fine.steps if step.action == "write")
    needs = list(areas.needs(find_copies(old, new, written)))
    # The header's block is saved for the whole time. Where memory is short, others have more use for it.
    choices = [plan, *(_rearranged(fine, areas, some, memory) for some in (needs, [n for n in needs if n.owner]))]
    return min(choices, key=lambda choice: _cost(choice, new))


def _cost(plan: Plan, new: bytes) -> int:
    """Return about how many bytes go up the line for a plan."""
    writes = [step for step in plan.steps if step.action == "write"]
    data = [(step.offset, new[step.offset : step.offset + step.length]) for step in writes]
    recipes = [recipe(plan.copies, at, part) for at, part in data]
    sizes = [len(zlib.compress(how.data if how else part, 1)) for how, (_, part) in zip(recipes, data, strict=True)]
    return sum(sizes) + CALL * len(plan.steps) + (OVERHEAD if plan.copies else 0)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that touch."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and joined[-1][1] >= start:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


@dataclass(frozen=True, slots=True)
class _Need:
    """A copy, the number of the area that it belongs to, and that of the area whose old content it needs, or -1."""

    copy: Copy
    consumer: int
    owner: int


class _Areas:
    """The areas that are erased at once, in order of their offset; number 0 is the header's block."""

    def __init__(self, plan: Plan, block: int) -> None:
        changes = [step for step in plan.steps if step.offset >= block and step.action in ("erase", "write")]
        self.steps = defaultdict[int, list[Step]](list)
        self.ranges = [(0, block)]
        for step in sorted(changes, key=lambda step: step.offset):  # an erase stays before its write
            end = -(-(step.offset + step.length) // block) * block
            if step.offset != self.ranges[-1][0]:
                self.ranges.append((step.offset, end))
            self.steps[len(self.ranges) - 1].append(step)
        self._starts = [start for start, _ in self.ranges]

    def number(self, offset: int) -> int:
        """Return the number of the area at an offset, or -1 if that is not erased."""
        number = bisect_right(self._starts, offset) - 1
        return number if offset < self.ranges[number][1] else -1

    def needs(self, copies: Iterable[Copy]) -> Iterator[_Need]:
        """Divide copies so that each is in one area, and needs one."""
        bounds = sorted({bound for range_ in self.ranges for bound in range_})
        for copy in copies:
            shift = copy.at - copy.source
            cuts = {copy.at, copy.at + copy.size}
            cuts |= set(_between(bounds, copy.at, copy.at + copy.size))
            cuts |= {bound + shift for bound in _between(bounds, copy.source, copy.source + copy.size)}
            ordered = sorted(cuts)
            for start, end in pairwise(ordered):
                part = copy.part(start, end)
                yield _Need(part, self.number(part.at), self.number(part.source))


def _between(bounds: list[int], start: int, end: int) -> list[int]:
    return bounds[bisect_right(bounds, start) : bisect_right(bounds, end - 1)]


def _rearranged(plan: Plan, areas: _Areas, needs: list[_Need], size: int) -> Plan:
    """Return the plan in the best order, with its copies, and with steps that save at most ``size`` bytes at a time."""
    order = _order(len(areas.ranges), needs)
    memory = _Memory(needs, order, size)
    first = memory.save(0)
    middle: list[Step] = []
    for number in order:
        middle += memory.save(number)
        middle += areas.steps[number]
        middle += memory.forget(number)
    start = [step for step in plan.steps if step.action in ("clear", "invalidate")]
    moved = {step for steps in areas.steps.values() for step in steps}
    end = [step for step in plan.steps if step not in moved and step not in start]
    return replace(plan, steps=(*first, *start, *middle, *end), copies=memory.copies)


def _order(count: int, needs: Iterable[_Need]) -> list[int]:
    """Return the order of the areas after the header's: next comes the one from which others need the fewest bytes."""
    needed = Counter[tuple[int, int]]()
    for need in needs:
        if need.owner > 0 and need.consumer != need.owner:
            needed[need.owner, need.consumer] += need.copy.size
    by_consumer = defaultdict[int, list[tuple[int, int]]](list)
    left = dict.fromkeys(range(1, count), 0)
    for (owner, consumer), size in needed.items():
        by_consumer[consumer].append((owner, size))
        left[owner] += size
    order = []
    while left:
        number = min(left, key=left.__getitem__)
        del left[number]
        order.append(number)
        for owner, size in by_consumer[number]:
            if owner in left:
                left[owner] -= size
    return order


class _Memory:
    """What the board saves, at most ``size`` bytes at a time, and the copies for which that is enough."""

    def __init__(self, needs: list[_Need], order: list[int], size: int) -> None:
        self.size = size
        self._position = {number: position for position, number in enumerate(order)} | {0: LATER}
        self._by_owner = defaultdict[int, list[_Need]](list)
        self._kept = [need.copy for need in needs if need.owner < 0]
        for need in needs:
            self._by_owner[need.owner].append(need)
        self._saved: dict[int, int] = {}  # the position in the order after which a chunk is no longer needed

    @property
    def copies(self) -> tuple[Copy, ...]:
        """All copies that can be made, in order."""
        return tuple(sorted(self._kept, key=lambda copy: copy.at))

    def save(self, owner: int) -> list[Step]:
        """Return the steps that save the content of an area that is still needed, as far as there is memory for it."""
        now = self._position[owner] if owner else -1
        needs = self._by_owner[owner]
        self._kept += [need.copy for need in needs if self._position[need.consumer] < now]
        later = [need for need in needs if self._position[need.consumer] >= now]
        last: dict[int, int] = {}
        for need in later:
            for chunk in _chunks(need.copy):
                last[chunk] = max(last.get(chunk, -1), self._position[need.consumer])
        chunks = sorted(last)[: self.size // CHUNK - len(self._saved)]
        if not chunks:
            return []
        self._saved |= {chunk: last[chunk] for chunk in chunks}
        end = chunks[-1] + CHUNK
        self._kept += [need.copy.before(end) for need in later if need.copy.source < end]
        return _steps("save", chunks)

    def forget(self, number: int) -> list[Step]:
        """Return the steps that remove saved content that is no longer needed after an area was written."""
        chunks = [chunk for chunk, last in self._saved.items() if last <= self._position[number]]
        for chunk in chunks:
            del self._saved[chunk]
        return _steps("forget", chunks)


def _chunks(copy: Copy) -> range:
    """Return the offsets of the whole chunks that contain what is copied."""
    return range(copy.source - copy.source % CHUNK, copy.source + copy.size, CHUNK)


def _steps(action: Action, chunks: Iterable[int]) -> list[Step]:
    return [Step(action, start, end - start) for start, end in _joined((chunk, chunk + CHUNK) for chunk in chunks)]
