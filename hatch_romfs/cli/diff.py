"""``romfs-image diff``: what differs between two images, or between a board and an image."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from hatch_romfs.builder.output import check_replaceable, write_output
from hatch_romfs.cli.command import print_json, say, tell
from hatch_romfs.cli.source import open_report_source
from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.report.image_diff import BLOCK, compare, diff_document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.formats.image import Image
    from hatch_romfs.report.image_diff import ImageDiff

# What only one form of the output needs is imported for that form.
# ruff: noqa: PLC0415

_DIFFERENT = 1
"""The exit status if the images differ."""
_EMPTY = b"\xd2\xcd\x31\x00"
"""An image without files, as which a partition without an image counts."""


def run_diff(options: argparse.Namespace) -> None:
    """Show what differs; exit with 1 if anything does."""
    _check(options)
    progress = not options.json
    with ExitStack() as stack:
        first = stack.enter_context(open_report_source(options.a, _name(options, options.a), progress=progress))
        if options.port is None:
            before = first.image
            second = stack.enter_context(open_report_source(options.b, _name(options, options.b), progress=progress))
            after = second.image
            diff = compare(before, after, options.blocks or BLOCK)
        else:
            partition = first.partition if options.partition is None else options.partition
            before, block = stack.enter_context(_board_image(options, partition))
            diff = compare(before, first.image, options.blocks or block)
    _write(options, diff)
    if not diff.is_equal:
        sys.exit(_DIFFERENT)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other, and to overwrite a file that is not a page of this command."""
    if (options.b is None) == (options.port is None):
        raise SettingsError("name either a second image to compare with, or a board with --port")
    if options.partition is not None and options.port is None:
        raise SettingsError("--partition is for --port")
    if options.json and options.markdown:
        raise SettingsError("--json and --markdown: only one of these at a time")
    if options.html:
        from hatch_romfs.report.html import PAGE_START

        check_replaceable(options.html, "page of this command", PAGE_START)


def _name(options: argparse.Namespace, source: Path) -> str | None:
    """Return the name of the chosen image, for a source that can have several."""
    name: str | None = options.image
    sources = [one for one in (options.a, options.b) if one is not None]
    return name if source.is_dir() or not any(one.is_dir() for one in sources) else None


@contextmanager
def _board_image(options: argparse.Namespace, partition: int) -> Iterator[tuple[Image, int]]:
    """Read the image that a board holds; yield it and the size of its erase blocks."""
    from hatch_romfs.board.link import ignore_message
    from hatch_romfs.board.reading import read_partition
    from hatch_romfs.board.session import PortOptions
    from hatch_romfs.cli import show
    from hatch_romfs.formats.micropython.image import RomImage

    port = PortOptions(options.port, on_message=ignore_message if options.json else tell)
    with show.progress(quiet=options.json) as on_event:
        target, data = read_partition(port, partition=partition, on_event=on_event)
    try:
        image = RomImage(data or _EMPTY)
    except ImageError as error:
        raise ImageError(f"partition {partition} of the board: {error.what}", offset=error.offset) from None
    with image:
        yield image, target.geometry.block


def _write(options: argparse.Namespace, diff: ImageDiff) -> None:
    """Write the page, if one is asked for, and print one of the other forms."""
    if options.html:
        from hatch_romfs.report.html import diff_page

        write_output(options.html, [diff_page(diff)])
    if options.json:
        print_json(diff_document(diff))
    elif options.markdown:
        from hatch_romfs.report.markdown import diff_markdown

        sys.stdout.write(diff_markdown(diff))
    elif options.html:
        say(f"{options.html}: {'equal' if diff.is_equal else 'different'}")
    else:
        from hatch_romfs.cli.diff_text import print_diff

        print_diff(diff, everything=options.verbose)
