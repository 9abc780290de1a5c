"""``romfs-image settings``: the reference of ``[tool.romfs]``, for people without the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, say
from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.reference import all_keys, describe, page

if TYPE_CHECKING:
    import argparse


def settings(options: argparse.Namespace) -> None:
    """Print every key, or one with its inner keys."""
    references = describe(options.key) if options.key else all_keys()
    if options.json:
        print_json({"keys": [reference.document() for reference in references]})
    elif not options.key:
        say(page().rstrip())
    else:
        say("\n\n".join(reference.text() for reference in references))
        if references[0].path == "board":
            say(f"\nBoards: {', '.join(boards())}")
