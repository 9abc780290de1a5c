"""Boards by name: what ``boards.toml`` says about each. Only tables that name a board need to read it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from hatch_romfs.settings.ports import ROMFS_SETTINGS, WITHOUT_ROMFS, port_of_board
from hatch_romfs.settings.values import parse_size
from romfs_manifest.shared.toml import loads

_SUGGESTIONS = 3
"""The number of names, at most, that are suggested for one that is unknown."""


class BoardFacts(NamedTuple):
    """What is known about a board: see the top of ``boards.toml``."""

    name: str
    partitions: list[dict[str, str]]
    mcu: str | None = None
    arch: str | None = None
    alignment: dict[str, int] = {}  # noqa: RUF012 - nothing writes to it

    @property
    def sizes(self) -> list[int | None]:
        """The bytes of each partition, None if not known."""
        return [parse_size(partition["size"]) if "size" in partition else None for partition in self.partitions]

    @property
    def places(self) -> list[tuple[int, int] | None]:
        """The address and the bytes of each partition, None if either is not known."""
        addresses = [partition.get("address") for partition in self.partitions]
        return [
            (int(address, 16), size) if address and size else None
            for address, size in zip(addresses, self.sizes, strict=True)
        ]


@cache
def boards() -> dict[str, BoardFacts]:
    """Return every known board by name."""
    document = loads(Path(__file__).with_name("boards.toml").read_text(encoding="utf-8"))
    return {name: BoardFacts(name, **facts) for group in document["group"] for name, facts in group["boards"].items()}


def name_problem(name: str) -> str | None:
    """Return that a name is not that of a known board, with similar names; or None."""
    if name in boards():
        return None
    from difflib import get_close_matches  # noqa: PLC0415 - only needed after a mistake

    similar = get_close_matches(name.upper(), boards(), n=_SUGGESTIONS)
    advice = "'romfs-image settings board' lists them"
    if similar:
        advice = f"did you mean {' or '.join(map(repr, similar))}?"
    port = port_of_board(name)
    if port is not None:
        advice += f"; firmware for {port} usually has no ROMFS: {ROMFS_SETTINGS[port]}; {WITHOUT_ROMFS}"
    return f"must be a board that is known to have a ROMFS partition, not {name!r:.60}; {advice}"


def partition_problem(name: str, partition: int) -> str | None:
    """Return that a board does not have a partition of that number, or None."""
    last = len(boards()[name].partitions) - 1
    if partition <= last:
        return None
    return f"{name} has only {f'partitions 0 to {last}' if last else 'partition 0'}, not {partition}"
