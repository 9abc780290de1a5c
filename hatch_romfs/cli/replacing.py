"""What ``romfs-flash`` says and asks before it replaces an image on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.board.messages import count_files, describe_replacement, full_name, list_paths
from hatch_romfs.cli.asking import ask, can_ask
from hatch_romfs.cli.command import tell
from hatch_romfs.errors import RomfsError

if TYPE_CHECKING:
    from hatch_romfs.board.filesystem.replacing import FilesystemReplacement
    from hatch_romfs.board.replacing import Replacement


def describe_files(found: FilesystemReplacement, *, verbose: bool = False) -> list[str]:
    """Return lines about the files of another project that a new image replaces in a filesystem."""
    start = f"{found.folder} has the files of {found.name or 'a project without a name'}"
    if not found.removed:
        return [f"{start}; the new image has all of them"]
    heading = f"{start}, {count_files(found.removed)} of which the new image does not have:"
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
        for line in describe_replacement(found, verbose=verbose):
            tell(line)
    if asks and not ask(f"Replace {full_name(found.name, found.version)} with {found.new_name or 'an unnamed image'}?"):
        raise RomfsError(
            f"partition {found.partition} was not changed",
            hint="--read OUT saves the old image; tool.romfs.base keeps its files in the new one.",
        )
