"""The options of ``romfs-image build``, without the code that builds: every start reads these."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.emit import add_emit_options

if TYPE_CHECKING:
    from hatch_romfs.cli.command import Parser


def add_build_options(parser: Parser) -> None:
    """Add what is built, where the image is written, and the keys of the table that options override."""
    parser.description = (
        "Build the image of a project, whose pyproject.toml has a [tool.romfs] table, or of any other folder, whose"
        " whole content goes into the image. Options outrank the table."
    )
    add = parser.add_argument
    add("source", type=Path, nargs="?", default=Path(), metavar="SOURCE", help="a folder; by default the current one")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="IMAGE",
        help="the image file; by default in dist, or beside a plain folder",
    )
    add("--image", metavar="NAME", help="build only this image of a project that has several")
    add("--format", choices=("micropython", "linux"), help="the format of the image")
    add("--mpy", action=argparse.BooleanOptionalAction, help="compile .py files, or keep them as they are")
    add(
        "--align",
        action="append",
        default=[],
        metavar="[PATTERN=]BYTES",
        help="the alignment of file data; may be repeated",
    )
    add("--layout", choices=("compact", "stable"), help="stable adds padding, so that an edit changes few flash blocks")
    add("--volume", metavar="NAME", help="the name of the volume, in Linux romfs")
    add("--no-cache", action="store_true", help="compile every module again")
    add_emit_options(parser)
