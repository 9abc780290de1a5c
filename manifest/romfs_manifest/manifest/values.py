"""Values of a manifest: literals, with their size known, so that no manifest can make large ones."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from romfs_manifest.errors import LimitError, ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STEPS = 100_000
"""Maximum number of statements and expressions that an evaluation carries out."""
MAX_CELLS = 2_000_000
"""Maximum number of characters and items in all values that an evaluation makes."""
MAX_VALUE = 100_000
"""Maximum number of characters and items in one value, with everything inside it."""
MAX_DEPTH = 20
"""Maximum depth of lists in lists."""
MAX_BLOCKS = 60
"""Maximum depth of blocks in blocks and of manifests that include one another, both together."""
MAX_NUMBER = 2**63
"""Integers are smaller than this, so that adding and printing them stays cheap."""
CALL_STEPS = 30
"""Steps that a call counts for, because it looks at files."""
ITEM_STEPS = 15
"""Steps that each file in the arguments of a call counts for."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list or a tuple. ``cells`` counts characters and items in it; ``depth`` is 1 without an inner sequence."""

    items: tuple[Value, ...]
    is_list: bool
    cells: int
    depth: int

    def __len__(self) -> int:
        return len(self.items)


Value: TypeAlias = "str | int | float | bool | Sequence | None"
Plain: TypeAlias = "str | int | float | bool | tuple[Plain, ...] | None"
"""A value as functions take it: lists and tuples are both tuples."""


class Budget:
    """Counts steps and the size of values; raises LimitError when an evaluation exceeds its limits."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._cells = MAX_CELLS
        self._blocks = 0

    @contextmanager
    def block(self) -> Iterator[None]:
        """Count a block while its statements are evaluated."""
        self._blocks += 1
        try:
            if self._blocks > MAX_BLOCKS:
                raise LimitError(
                    f"blocks and manifests are nested more than {MAX_BLOCKS} deep", hint="Nest fewer blocks."
                )
            yield
        finally:
            self._blocks -= 1

    def step(self, count: int = 1) -> None:
        """Count ``count`` steps."""
        self._steps -= count
        if self._steps < 0:
            raise LimitError(f"the manifest takes more than {MAX_STEPS:,} steps", hint="Use fewer or shorter loops.")

    def sequence(self, items: tuple[Value, ...], *, is_list: bool) -> Sequence:
        """Return a new list or tuple."""
        depth = 1 + max((item.depth for item in items if isinstance(item, Sequence)), default=0)
        if depth > MAX_DEPTH:
            raise LimitError(f"lists are nested more than {MAX_DEPTH} deep", hint="Use a flat list.")
        cells = len(items) + sum(map(cell_count, items))
        self._count(cells)
        return Sequence(items, is_list, cells, depth)

    def add(self, left: Value, right: Value) -> Value:
        """Return ``left + right``; raises ManifestError if Python cannot add the two."""
        if isinstance(left, str) and isinstance(right, str):
            return self.join([left, right])
        if isinstance(left, Sequence) and isinstance(right, Sequence) and left.is_list == right.is_list:
            self._count(left.cells + right.cells)  # before the sum is made
            return self.sequence(left.items + right.items, is_list=left.is_list)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return check_number(left + right)
        raise ManifestError(
            f"cannot add {type_name(right)} to {type_name(left)}",
            hint="Add strings to strings, lists to lists, and tuples to tuples.",
        )

    def join(self, texts: list[str]) -> str:
        """Return one string of several."""
        self._count(sum(map(len, texts)))
        return "".join(texts)

    def _count(self, cells: int) -> None:
        self._cells -= cells
        if cells > MAX_VALUE or self._cells < 0:
            raise LimitError("the values in the manifest are too large", hint="Use shorter strings and lists.")


def cell_count(value: Value) -> int:
    """Return how many characters and items a value has."""
    if isinstance(value, Sequence):
        return value.cells
    return len(value) if isinstance(value, str) else 0


def check_number(number: float) -> int | float:
    """Return ``number``; raises ManifestError for a large integer."""
    if isinstance(number, int) and abs(number) >= MAX_NUMBER:
        raise ManifestError("the number is too large", hint="Numbers have at most 64 bits.")
    return number


def type_name(value: Value) -> str:
    """Return a value's type for a message."""
    if isinstance(value, Sequence):
        return "a list" if value.is_list else "a tuple"
    return "None" if value is None else {str: "a string", bool: "a Boolean"}.get(type(value), "a number")


def to_plain(value: Value) -> Plain:
    """Return a value as functions take it."""
    return tuple(map(to_plain, value.items)) if isinstance(value, Sequence) else value


def from_python(value: object, budget: Budget) -> Value:
    """Return a Python value, such as an option that a caller gives; raises ManifestError for other types."""
    if isinstance(value, list | tuple):
        return budget.sequence(tuple(from_python(item, budget) for item in value), is_list=isinstance(value, list))
    if isinstance(value, str | int | float | bool | None):
        return value
    raise ManifestError(f"an option cannot be of type {type(value).__name__}", hint="Use strings, numbers, and lists.")
