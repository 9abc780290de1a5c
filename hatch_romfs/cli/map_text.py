"""A map as text: a picture on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_line
from hatch_romfs.paths import show_name
from hatch_romfs.report.image_map import blocks, by_kind, entries
from hatch_romfs.report.rows import block_paths, notes, shown_name, sort_key, title, top_entries

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from hatch_romfs.report.budget import Budget, Growth
    from hatch_romfs.report.image_map import Entry, ImageMap

_MOST_GROWN = 20
"""The number of paths that have grown that are listed."""


def print_map(found: ImageMap, options: argparse.Namespace) -> None:
    """Print a map; ``options`` are those of the command."""
    if sys.stdout.isatty():
        from hatch_romfs.cli.map_picture import print_picture  # noqa: PLC0415 - a pipe needs none of it

        print_picture(found, order=options.sort, block=options.blocks, everything=options.verbose)
        return
    print_line(": ".join(title(found)))
    _print_files(found, options.sort, functions=options.verbose)
    _print_kinds(found)
    for note in notes(found):
        print_line(note)
    if options.blocks:
        _print_blocks(found, options.blocks)


def _print_files(found: ImageMap, order: str, *, functions: bool) -> None:
    root = entries(found.cells, functions=functions)
    print_line(f"{'size':>10} {'%':>6}  path")
    rows = list(_walk(root, ""))
    key = sort_key(order)
    for entry, folder in rows if order == "path" else sorted(rows, key=lambda row: (key(row[0]), row[1])):
        print_line(f"{entry.size:>10} {_percent(entry.size, found.size):>6}  {show_name(folder)}{shown_name(entry)}")


def _walk(entry: Entry, folder: str) -> Iterator[tuple[Entry, str]]:
    children = top_entries(entry) if not entry.path else entry.children.values()
    for child in sorted(children, key=lambda child: child.name):
        yield child, folder
        yield from _walk(child, f"{child.path}{':' if child.path.endswith('.mpy') else '/'}")


def _print_kinds(found: ImageMap) -> None:
    print_line("")
    print_line(f"{'size':>10} {'%':>6}  kind")
    for kind, size in by_kind(found.cells).most_common():
        print_line(f"{size:>10} {_percent(size, found.size):>6}  {kind}")


def _print_blocks(found: ImageMap, size: int) -> None:
    print_line("")
    print_line(f"{'block':>6} {'offset':>10} {'used':>8}  files")
    for block in blocks(found, size):
        used = size - block.groups["free"]
        print_line(f"{block.number:>6} {block.number * size:>#10x} {used:>8}  {block_paths(block.paths)}".rstrip())


def _percent(size: int, total: int) -> str:
    return f"{100 * size / total:.1f}"


def print_budgets(budgets: list[Budget], grown: list[Growth]) -> None:
    """Print what each budget is used for, and what has grown."""
    print_line("")
    if budgets:
        print_line(f"{'size':>10} {'budget':>10} {'used':>6}  pattern")
    for budget in budgets:
        used = f"{budget.size / budget.limit:.0%}"
        mark = f"  exceeded by {budget.size - budget.limit:,}" if budget.is_exceeded else ""
        print_line(f"{budget.size:>10} {budget.limit:>10} {used:>6}  {budget.pattern}{mark}")
    if grown:
        print_line("")
        print_line(f"{'size':>10} {'growth':>10}  path (grown since the baseline)")
    for row in grown[:_MOST_GROWN]:
        print_line(f"{row.after:>10} {row.after - row.before:>+10}  {row.path or '(image)'}")
    if len(grown) > _MOST_GROWN:
        print_line(f"and {len(grown) - _MOST_GROWN} more")
