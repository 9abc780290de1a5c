"""``romfs-image settings`` and ``import-openmv``: the reference of ``[tool.romfs]``, and a table made from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line, warn
from hatch_romfs.errors import unreadable
from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.openmv import MAX_BYTES, import_config
from hatch_romfs.settings.reference import all_keys, describe, page
from romfs_manifest.shared.opening import read_regular
from romfs_manifest.shared.toml import loads

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


def import_openmv(options: argparse.Namespace) -> None:
    """Print the table that a ``romfs_config.json`` becomes, with warnings about what it lacks on standard error."""
    try:
        data = read_regular(options.file, MAX_BYTES)
        board = options.file.resolve().parent.name
    except OSError as error:
        raise unreadable(options.file, error, "its romfs_config.json") from error
    imported = import_config(data, str(options.file), board)
    if options.json:
        table = loads(imported.toml)["tool"]["romfs"]
        print_json({"toml": imported.toml, "table": table, "warnings": list(imported.warnings)})
        return
    for warning in imported.warnings:
        warn(warning)
    _say_lines(imported.toml.rstrip())


def _say_lines(text: str) -> None:
    for line in text.split("\n"):
        print_line(line)
