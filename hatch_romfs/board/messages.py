"""Sentences about what is done to a board, the same on the command line and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.board.replacing import Replacement

_SHOWN: Final = 10
"""Files that are listed without ``verbose``."""


def flash_summary(done: FlashResult, *, dry_run: bool = False) -> str:
    """Return the line that says what was done."""
    where = f"partition {done.partition.number} of {done.board.machine}"
    if dry_run:
        return f"{where}: {done.plan.writes:,} of {done.size:,} bytes would be written"
    mounted = ", mounted at /rom" if done.mounted else ""
    copied = f" ({done.copied:,} copied on the board)" if done.copied else ""
    return f"{where}: {done.size:,} bytes verified, {done.plan.writes:,} of them written{copied}{mounted}"


def describe_replacement(found: Replacement, *, verbose: bool = False) -> list[str]:
    """Return lines about what the new image removes; none if it has the same name, and removes nothing."""
    old = f"the image {full_name(found.name, found.version)}" if found.is_other else "the old image"
    start = f"partition {found.partition}: {old}"
    if found.problem:
        return [f"{start} will be replaced; its files cannot be listed: {found.problem}"]
    if not found.removed:
        return [f"{start} will be replaced; the new one has all of its files"] if found.is_other else []
    heading = f"{start} has {count_files(found.removed)} that the new one does not have:"
    return [heading, *list_paths(found.removed, verbose=verbose)]


def list_paths(paths: Sequence[str], *, verbose: bool) -> list[str]:
    """Return a line for each path; only for the first of them unless ``verbose``."""
    shown = paths if verbose else paths[:_SHOWN]
    more = [f"  (and {len(paths) - len(shown):,} more; -v lists all)"] if len(shown) < len(paths) else []
    return [*(f"  {path}" for path in shown), *more]


def count_files(paths: Sequence[str]) -> str:
    """Return how many files there are, in words."""
    return f"{len(paths):,} file{'' if len(paths) == 1 else 's'}"


def full_name(name: str | None, version: str | None) -> str:
    """Return the name and version of an image in words."""
    return " ".join(filter(None, (name, version))) or "without a name"
