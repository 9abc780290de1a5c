"""Boards by name: what ``boards.toml`` knows of each, and how that becomes a part of a table.

Only a table that names a board pays for reading the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hatch_romfs.settings.kinds import parse_size
from hatch_romfs.settings.toml import loads

_NEAR = 3
"""How many names are suggested for one that is unknown."""


class Known(NamedTuple):
    """What is known of a board: see the head of ``boards.toml``."""

    name: str
    partitions: list[dict[str, str]]
    mcu: str | None = None
    arch: str | None = None
    alignment: dict[str, int] = {}  # noqa: RUF012 - nothing writes to it

    @property
    def sizes(self) -> list[int | None]:
        """The bytes of each partition, None where they are not known."""
        return [parse_size(partition["size"]) if "size" in partition else None for partition in self.partitions]


@cache
def boards() -> dict[str, Known]:
    """Return every board that is known, by its name."""
    document = loads(Path(__file__).with_name("boards.toml").read_text(encoding="utf-8"))
    return {name: Known(name, **facts) for group in document["group"] for name, facts in group["boards"].items()}


def name_problem(name: str) -> str | None:
    """Say that a name is not one of a known board, and which are near."""
    if name in boards():
        return None
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    near = get_close_matches(name.upper(), boards(), n=_NEAR)
    suggested = f"did you mean {' or '.join(map(repr, near))}?" if near else "the reference page lists those that are"
    return f"must be a board that is known to have a ROMFS partition, not {name!r:.60}; {suggested}"


def partition_problem(name: str, partition: int) -> str | None:
    """Say that a known board has no partition of that number."""
    last = len(boards()[name].partitions) - 1
    if partition <= last:
        return None
    return f"{name} has {f'partitions 0 to {last}' if last else 'partition 0 only'}, not {partition}"


def with_known(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table that names a board with what is known of that; what the table says itself outranks it.

    Mistakes are left for who reads the table.
    """
    name, number = table["board"], table.get("partition", 0)
    known = boards().get(name) if isinstance(name, str) else None
    if known is None:
        return table
    result = dict(table)
    if type(number) is int and 0 <= number < len(known.partitions):
        result = known.partitions[number] | result
    if known.alignment:
        result["alignment"] = _alignment(known, table.get("alignment", {}))
    mpy = table.get("mpy", True)
    if known.arch and (mpy is True or isinstance(mpy, dict)):
        result["mpy"] = {"arch": known.arch} | ({} if mpy is True else mpy)
    return result


def _alignment(known: Known, own: object) -> object:
    """Return the table's boundaries and the board's; one for all files that is as strict leaves nothing to add."""
    boundaries = own if isinstance(own, dict) else {"default": own}
    default = boundaries.get("default", 1)
    if type(default) is not int:
        return own
    return {pattern: size for pattern, size in known.alignment.items() if size > default} | boundaries
