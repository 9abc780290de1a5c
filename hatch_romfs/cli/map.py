"""``romfs-image map``: what fills an image, for people, pages, pull requests, and machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hatch_romfs.builder.output import check_replaceable, write_output
from hatch_romfs.cli.command import print_json, say, warn
from hatch_romfs.cli.source import open_report_source
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.report.budget import (
    BASELINE_START,
    Budget,
    Growth,
    baseline,
    check_budgets,
    growth,
    read_baseline,
    read_budgets,
)
from hatch_romfs.report.image_map import make_map, map_document

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.report.image_map import ImageMap

# What only one form of the output needs is imported for that form.
# ruff: noqa: PLC0415


def run_map(options: argparse.Namespace) -> None:
    """Show what fills an image; raises BuildError if it exceeds a budget."""
    _check_outputs(options)
    limits = read_budgets(options.budget) if options.budget else {}
    before = read_baseline(options.baseline) if options.baseline else None
    with open_report_source(options.source, options.image, progress=not options.json) as source:
        found = make_map(source.image, options.partition_size or source.partition_size)
    budgets = check_budgets(found, limits)
    for budget in budgets:
        if not budget.matches:
            warn(f"{options.budget}: {budget.pattern!r} matches nothing in the image")
    grown = growth(found, before) if before is not None else []
    if options.save_baseline:
        write_output(options.save_baseline, [baseline(found)])
    _write(options, found, budgets, grown)
    exceeded = [budget for budget in budgets if budget.is_exceeded]
    if exceeded and options.json:
        sys.exit(BuildError.status)
    if exceeded:
        raise _excess(options, exceeded)


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other, and to overwrite files that are not such outputs."""
    if options.json and options.markdown:
        raise SettingsError("--json and --markdown: only one of these at a time")
    if options.html:
        from hatch_romfs.report.html import PAGE_START

        check_replaceable(options.html, "page of this command", PAGE_START)
    if options.save_baseline:
        check_replaceable(options.save_baseline, "baseline", BASELINE_START)


def _write(options: argparse.Namespace, found: ImageMap, budgets: list[Budget], grown: list[Growth]) -> None:
    """Write the page, if one is asked for, and print one of the other forms."""
    if options.html:
        from hatch_romfs.report.html import map_page

        write_output(options.html, [map_page(found, options.blocks)])
    if options.json:
        document: dict[str, object] = {**map_document(found)}
        if options.budget:
            document["budgets"] = [
                {"pattern": one.pattern, "size": one.size, "limit": one.limit, "exceeded": one.is_exceeded}
                for one in budgets
            ]
        if options.baseline:
            document["grown"] = [row._asdict() for row in grown]
        print_json(document)
    elif options.markdown:
        from hatch_romfs.report.markdown import map_markdown

        sys.stdout.write(map_markdown(found, budgets, grown, sort=options.sort))
    else:
        from hatch_romfs.cli.map_text import print_budgets, print_map

        if options.html:
            say(f"{options.html}: the map of {found.size:,} bytes")
        else:
            print_map(found, options)
        if budgets or grown:
            print_budgets(budgets, grown)


def _excess(options: argparse.Namespace, exceeded: list[Budget]) -> BuildError:
    """Return the error for budgets that are exceeded."""
    lines = [
        f"{one.pattern}: {one.size:,} bytes, {one.size - one.limit:,} more than the {one.limit:,} in {options.budget}"
        for one in exceeded
    ]
    hint = "Exclude files, or raise the budget. 'romfs-image map -v' lists every file and function."
    if len(lines) == 1:
        return BuildError(f"the image exceeds its budget for {lines[0]}", hint=hint)
    return BuildError([f"the image exceeds {len(lines)} budgets:", *(f"  {line}" for line in lines)], hint=hint)
