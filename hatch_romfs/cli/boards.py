"""Boards as text for people and as documents for machines."""

from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from hatch_romfs.cli import show
from hatch_romfs.cli.command import print_line

if TYPE_CHECKING:
    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.board.probe import Board, Partition

SHOWN: Final = 12
"""Bytes of a partition's start that are shown."""


def document(board: Board, listed: tuple[PartitionListing, ...]) -> dict[str, Any]:
    """Return what a board is for machines."""
    found = asdict(board)
    found["arch"] = board.arch
    found["mpy_version"] = ".".join(map(str, board.mpy_version))
    for entry, partition in zip(found["partitions"] or (), board.partitions or (), strict=True):
        entry["metadata"] = partition.metadata and partition.metadata._asdict()
        entry["blocks"] = blocks(partition)
        entry["head"] = partition.head[:SHOWN].hex(":")
    for entry, one in zip(found["partitions"] or (), listed, strict=False):
        entry.update(show.listed_document(one))
    return found


def blocks(partition: Partition) -> int:
    """Return the number of a partition's blocks."""
    return -(-partition.geometry.size // partition.geometry.block)


def show_board(board: Board, listed: tuple[PartitionListing, ...], *, verbose: bool) -> None:
    """Print what a board is, and what its partitions hold: with their files if these were listed.

    With ``verbose``, also the first bytes of each partition.
    """
    version, sub_version = board.mpy_version
    print_line(f"{board.machine}, MicroPython {board.version}")
    if verbose and board.unique_id:
        print_line(f"unique ID {board.unique_id}")
    native = f"native code: {board.arch or 'none'}"
    print_line(f"loads .mpy {version}.{sub_version}, {native}; {board.free:,} bytes of memory free")
    if board.main is not None:
        module = board.main.module
        print_line(f"main.py imports {module} (--autostart)" if module else "main.py is the user's own")
    if board.partitions is None:
        print_line("no ROMFS in this firmware")
    elif not board.partitions:
        print_line("ROMFS, but no partition reserved for it")
    for partition, one in zip_longest(board.partitions or (), listed):
        print_line(_partition_line(partition))
        if verbose and partition.head:
            print_line(f"  first bytes: {partition.head[:SHOWN].hex(':')}")
        if one is not None:
            _show_listed(one)


def _show_listed(listed: PartitionListing) -> None:
    partition = listed.partition
    if listed.problem is not None:
        print_line(f"its files cannot be listed: {listed.problem.message}")
    elif listed.root is not None:
        known = partition.metadata and (partition.metadata.name, partition.metadata.version)
        show.listing(listed.root, partition.image_size or 0, known or (), partition.address)


def _partition_line(partition: Partition) -> str:
    if partition.problem:
        return f"partition {partition.number}: cannot be used: {partition.problem}"
    geometry = partition.geometry
    content = "no image"
    if partition.image_size is not None:
        content = f"an image of {partition.image_size:,} bytes"
    if partition.metadata is not None:
        known = " ".join(filter(None, (partition.metadata.name, partition.metadata.version)))
        digest = f"content {partition.metadata.sha256[:16]}"
        content += f": {', '.join(filter(None, (known, digest)))}"
    return (
        f"partition {partition.number}: {geometry.size:,} bytes, {blocks(partition):,} blocks of {geometry.block:,},"
        f" written in units of {geometry.unit}, {partition.access}; holds {content}"
    )
