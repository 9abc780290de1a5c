"""What ``romfs-flash`` says and asks before it replaces an image on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.cli.asking import ask, can_ask
from hatch_romfs.cli.command import tell
from hatch_romfs.cli.show import count
from hatch_romfs.errors import RomfsError

if TYPE_CHECKING:
    from hatch_romfs.board.replacing import Replacement

_SHOWN: Final = 10
"""Files that are listed without ``-v``."""


def describe(found: Replacement, *, verbose: bool = False) -> list[str]:
    """Return lines about what the new image removes; none if it has the same name, and removes nothing."""
    old = f"the image {_full_name(found.name, found.version)}" if found.is_other else "the old image"
    start = f"partition {found.partition}: {old}"
    if found.problem:
        return [f"{start} will be replaced; its files cannot be listed: {found.problem}"]
    if not found.removed:
        return [f"{start} will be replaced; the new one has all of its files"] if found.is_other else []
    shown = found.removed if verbose else found.removed[:_SHOWN]
    lines = [f"{start} has {count(len(found.removed), 'file')} that the new one does not have:"]
    lines += [f"  {path}" for path in shown]
    if len(shown) < len(found.removed):
        lines.append(f"  (and {len(found.removed) - len(shown):,} more; -v lists all)")
    return lines


def announce(found: Replacement, *, quiet: bool, verbose: bool, yes: bool) -> None:
    """Say what the new image removes, and ask on a terminal if it replaces that of another project.

    ``yes`` answers the question. Raises RomfsError if the answer is no.
    """
    asks = found.is_other and not yes and can_ask()
    if asks or not quiet:
        for line in describe(found, verbose=verbose):
            tell(line)
    if asks and not ask(
        f"Replace {_full_name(found.name, found.version)} with {found.new_name or 'an unnamed image'}?"
    ):
        raise RomfsError(
            f"partition {found.partition} was not changed",
            hint="--read OUT saves the old image; tool.romfs.base keeps its files in the new one.",
        )


def _full_name(name: str | None, version: str | None) -> str:
    return " ".join(filter(None, (name, version))) or "without a name"
