"""The options of ``romfs-image map``, ``romfs-image diff``, and ``romfs-image page``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_romfs.cli.command import Parser

_SMALLEST_BLOCK = 16
_LARGEST_BLOCK = 1 << 30


def add_map_options(parser: Parser) -> None:
    """Add the arguments and options of ``map``."""
    add = parser.add_argument
    add("source", type=Path, metavar="IMAGE", help="an image file, or a project or folder, which is built first")
    add("--image", metavar="NAME", help="which image of a project that has several")
    add("--sort", choices=("size", "path", "kind"), default="size", help="the order of files; by default size")
    add("--blocks", type=_block, metavar="SIZE", help="show erase blocks of this size, such as 4K")
    add("--partition-size", type=_block, metavar="SIZE", help="show the free space of a partition of this size")
    add("--html", type=Path, metavar="FILE", help="write an interactive page to a file")
    add("--markdown", action="store_true", help="print Markdown, as for the summary of a CI job")
    add("--budget", type=Path, metavar="FILE", help="fail if a folder or pattern takes more than this TOML file allows")
    add("--baseline", type=Path, metavar="FILE", help="show what has grown since this baseline")
    add("--save-baseline", type=Path, metavar="FILE", help="write a baseline for later comparisons")


def add_diff_options(parser: Parser) -> None:
    """Add the arguments and options of ``diff``."""
    parser.description = (
        "Show what differs between two images: files, folders, and the erase blocks that flashing the second over the"
        " first would write. Exit status 0 if they are equal, 1 if they differ."
    )
    add = parser.add_argument
    add("a", type=Path, metavar="A", help="an image file, or a project or folder, which is built first")
    add("b", type=Path, nargs="?", metavar="B", help="another one; or name a board with --port")
    add("--image", metavar="NAME", help="which image of a project that has several")
    add("--port", metavar="PORT", help="compare what a board holds with A, which would be written to it")
    add("--partition", type=int, metavar="N", help="the partition of the board; by default the project's, or 0")
    add("--blocks", type=_block, metavar="SIZE", help="the size of erase blocks; by default the board's, or 4 KiB")
    add("--html", type=Path, metavar="FILE", help="write a page that shows both side by side")
    add("--markdown", action="store_true", help="print Markdown, as for a comment on a pull request")


def add_page_options(parser: Parser) -> None:
    """Add the arguments and options of ``page``."""
    parser.description = (
        "Write a static web page with which users flash images from a browser, without installing anything. Without"
        " IMAGE the page is a workbench: it inspects and flashes the images that its users have. The options outrank"
        " [tool.romfs.page] of the project."
    )
    add = parser.add_argument
    help_ = "an image file, a wheel that contains one, or a project or folder, which is built first"
    add("images", type=Path, nargs="*", metavar="IMAGE", help=help_)
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to write the page")
    add(
        "--image",
        metavar="NAME",
        help="which image of a project or wheel that has several; by default all of a project",
    )
    add("--maker", metavar="NAME", help="who makes the app")
    add("--text", metavar="TEXT", help="what to say about the app")
    help_ = "a link, such as 'Support=https://example.com'; may be repeated"
    add("--link", metavar="TEXT=URL", action="append", default=[], help=help_)
    help_ = "copy Pyodide from this folder into the page, which then needs no other host"
    add("--bundle", type=Path, metavar="PYODIDE_FOLDER", help=help_)


def _block(text: str) -> int:
    """Return a size in bytes. Raises ArgumentTypeError."""
    from hatch_romfs.settings.values import read_size  # noqa: PLC0415 - only this option needs it

    size = read_size(text)
    if size is None or not _SMALLEST_BLOCK <= size <= _LARGEST_BLOCK:
        raise argparse.ArgumentTypeError(f"must be a size such as 4096, 4K, or 128 KiB, not {text!r}")
    return size
