"""``romfs-flash --summary``: what a report says about the boards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line
from hatch_romfs.cli.show import count
from hatch_romfs.fleet.report import latest, read_report, to_document

if TYPE_CHECKING:
    import argparse


def summarize(options: argparse.Namespace) -> None:
    """Count the last results of the boards in a report, and list those that failed."""
    entries = read_report(options.summary)
    boards = latest(entries)
    failures = [entry for entry in boards if entry.result == "failed"]
    if options.json:
        print_json(
            {
                "entries": len(entries),
                "boards": len(boards),
                "verified": len(boards) - len(failures),
                "failed": len(failures),
                "failures": [to_document(entry) for entry in failures],
            }
        )
        return
    print_line(
        f"{options.summary}: {count(len(boards), 'board')}, {len(boards) - len(failures):,} verified,"
        f" {len(failures):,} failed ({count(len(entries), 'result')})"
    )
    for entry in failures:
        by_id = f", unique ID {entry.unique_id}" if entry.unique_id else ""
        serial_number = f", id:{entry.serial_number}" if entry.serial_number else ""
        print_line(f"failed {entry.time} {entry.port}{serial_number}{by_id}: {entry.reason}")
