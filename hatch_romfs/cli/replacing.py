"""What ``romfs-flash`` says and asks before it replaces an image on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.cli.asking import ask, can_ask
from hatch_romfs.cli.command import tell
from hatch_romfs.cli.show import count
from hatch_romfs.errors import RomfsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.board.filesystem.replacing import FilesystemReplacement
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
    heading = f"{start} has {count(len(found.removed), 'file')} that the new one does not have:"
    return [heading, *list_paths(found.removed, verbose=verbose)]


def list_paths(paths: Sequence[str], *, verbose: bool) -> list[str]:
    """Return a line for each path; only for the first of them unless ``verbose``."""
    shown = paths if verbose else paths[:_SHOWN]
    more = [f"  (and {len(paths) - len(shown):,} more; -v lists all)"] if len(shown) < len(paths) else []
    return [*(f"  {path}" for path in shown), *more]


def describe_files(found: FilesystemReplacement, *, verbose: bool = False) -> list[str]:
    """Return lines about the files of another project that a new image replaces in a filesystem."""
    start = f"{found.folder} has the files of {found.name or 'a project without a name'}"
    if not found.removed:
        return [f"{start}; the new image has all of them"]
    heading = f"{start}, {count(len(found.removed), 'file')} of which the new image does not have:"
    return [heading, *list_paths(found.removed, verbose=verbose)]


def announce_files(found: FilesystemReplacement, *, verbose: bool, yes: bool) -> None:
    """Ask on a terminal before the files of another project are replaced.

    ``yes`` answers the question. Raises RomfsError if the answer is no.
    """
    if yes or not found.is_other or not can_ask():
        return
    for line in describe_files(found, verbose=verbose):
        tell(line)
    old, new = found.name or "a project without a name", found.new_name or "an unnamed image"
    if not ask(f"Replace the files of {old} with {new}?"):
        raise RomfsError(
            f"{found.folder} was not changed", hint="Name another folder, such as --to-filesystem /flash/app."
        )


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
