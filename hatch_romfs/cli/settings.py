"""``romfs-image settings``: the reference of ``[tool.romfs]``, for people without the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line
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
        _say_lines(page().rstrip())
    else:
        _say_lines("\n\n".join(reference.text() for reference in references))
        if references[0].path == "board":
            _say_lines(f"\nBoards: {', '.join(boards())}")


def _say_lines(text: str) -> None:
    for line in text.split("\n"):
        print_line(line)
