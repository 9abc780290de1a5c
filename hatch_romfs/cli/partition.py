"""``romfs-flash`` without writing an image: what a partition holds, a comparison, a backup, and an erase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.board import flash, reading
from hatch_romfs.board.listing import list_files
from hatch_romfs.builder.output import check_new, write_output
from hatch_romfs.cli import boards, show
from hatch_romfs.cli.command import print_json, say
from hatch_romfs.cli.source import open_source

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.board.session import PortOptions


def query(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Say what a board is."""
    listed: tuple[PartitionListing, ...] = ()
    if options.files:
        board, listed = list_files(port, trace=trace)
    else:
        board = reading.query(port, trace=trace)
    if options.json:
        print_json(boards.document(board, listed))
    else:
        boards.show_board(board, listed, verbose=options.verbose)


def verify(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Compare only."""
    with (
        open_source(options, options.verify) as image,
        show.progress(quiet=options.json) as on_event,
    ):
        board = reading.verify(
            image.path,
            port,
            partition=image.partition,
            on_board=image.check_board,
            on_event=on_event,
            trace=trace,
            name=str(options.verify),
        )
    if options.json:
        document = {"board": board.machine, "partition": image.partition, "verified": True, "warnings": image.warnings}
        print_json(document)
    else:
        say(f"partition {image.partition} of {board.machine} holds {options.verify}, byte for byte")


def read(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Write what a partition holds to a file."""
    partition = options.partition or 0
    check_new(options.read)  # before anything is read, which takes its time
    with show.progress(quiet=options.json) as on_event:
        data = reading.read(
            port,
            partition=partition,
            whole=options.whole,
            on_event=on_event,
            trace=trace,
        )
    write_output(options.read, [data], replace=False)
    if options.json:
        print_json({"path": str(options.read), "size": len(data), "partition": partition})
    else:
        say(f"{options.read}: {len(data):,} bytes")


def erase(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Erase a partition."""
    partition = options.partition or 0
    with show.progress(quiet=options.json) as on_event:
        board = flash.erase(port, partition=partition, on_event=on_event, trace=trace)
    if options.json:
        print_json({"board": board.machine, "partition": partition, "erased": True})
    else:
        say(f"partition {partition} of {board.machine} is erased")
