"""``romfs-flash``: an image into a board's partition, and what is there now."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import Parser, Version, add_common_options, print_json, run, say, tell
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.board.session import PortOptions

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415

PORT_VARIABLE = "ROMFS_PORT"
"""The environment variable that names the port where ``--port`` does not."""
WAIT = "60"
"""Seconds for ``--wait`` without a number."""


def main() -> None:
    """Run the command ``romfs-flash``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-flash`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(_with_seconds(arguments))
    actions = [name for name in ("query", "verify", "read", "erase", "list_ports", "serve") if getattr(options, name)]
    if options.image and not (options.source or options.installed or actions):
        options.source = Path()
    asked = [name for name in ("source", "installed", *actions) if getattr(options, name)]
    if len(asked) != 1:
        named = " and ".join("IMAGE" if name == "source" else f"--{name.replace('_', '-')}" for name in asked)
        raise SettingsError(
            f"{named}: only one of these at a time"
            if asked
            else "name an IMAGE to write, or one of --installed, --query, --verify, --read, --erase, --list-ports,"
            " --serve",
            hint="'romfs-flash --help' shows how it is used.",
        )
    _check_together(options, asked[0])
    doing = {
        "query": query,
        "verify": verify,
        "read": read,
        "erase": erase,
        "list_ports": list_ports,
        "serve": serve,
    }
    (doing[actions[0]] if actions else flash)(options)


def _with_seconds(arguments: Sequence[str]) -> list[str]:
    """Give a ``--wait`` that no number follows its seconds: argparse would take IMAGE for them."""
    following = [*arguments[1:], ""]
    return [
        f"--wait={WAIT}" if argument == "--wait" and not re.fullmatch(r"[0-9.]+", after) else argument
        for argument, after in zip(arguments, following, strict=False)
    ]


def _check_together(options: argparse.Namespace, asked: str) -> None:
    """Refuse options that have no effect together with what is asked for."""
    meant = {
        "files": ("query",),
        "whole": ("read",),
        **dict.fromkeys(("dry_run", "full", "force", "no_reset"), ("source", "installed")),
        "no_boot": ("source", "installed", "erase"),
        "image": ("source", "installed", "verify"),
        "folder": ("source", "verify"),
    }
    for name, actions in meant.items():
        if getattr(options, name) and asked not in actions:
            alone = " and ".join(f"--{action}" for action in actions if action not in ("source", "installed"))
            raise SettingsError(f"--{name.replace('_', '-')} is for {alone or 'writing an image'}")
    source = options.source or options.verify
    if options.image and source and source.is_file():
        raise SettingsError(f"--image names one of a project's images, and {source} is an image already")
    if options.folder and not source.is_dir():
        raise SettingsError(f"--folder: {source} is not a folder")


def parser() -> Parser:
    """Return the parser of ``romfs-flash``."""
    top = Parser(
        prog="romfs-flash",
        description="Write a ROMFS image into a partition of a MicroPython board, verified, so that a cut at any"
        " moment leaves nothing broken that mounts. IMAGE is an image, or a project or folder, which is built first.",
    )
    add = top.add_argument
    add("--version", action=Version, nargs=0, help="print the version and exit")
    add("source", nargs="?", type=Path, metavar="IMAGE", help="an image, a project or a folder")
    add("--installed", metavar="NAME", help="write the image of this installed package")
    add("--image", metavar="NAME", help="which image of a project or package that has several")
    add(
        "--port",
        metavar="PORT",
        help="a port or URL, id:SERIAL or the beginning of it, or sim: for a simulated board; by default $ROMFS_PORT,"
        " or the only board",
    )
    add(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help=f"wait for a board that is not plugged in yet; without a number, {WAIT} seconds",
    )
    add("--partition", type=int, metavar="N", help="the partition; by default the project's, or 0")
    what = top.add_mutually_exclusive_group()
    what.add_argument("--query", action="store_true", help="show the board and what its partitions hold")
    what.add_argument("--verify", type=Path, metavar="IMAGE", help="compare only")
    what.add_argument("--read", type=Path, metavar="OUT", help="write the image that the partition holds to a file")
    what.add_argument("--erase", action="store_true", help="erase the partition")
    what.add_argument("--list-ports", action="store_true", help="list the serial ports of this machine")
    what.add_argument("--serve", action="store_true", help="run the simulated board of --port for other programs")
    add("--files", action="store_true", help="with --query: list the files that each partition's image holds")
    add("--whole", action="store_true", help="with --read: the whole partition, whatever it holds")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing to the partition")
    add("--full", action="store_true", help="write every block, also those that are right already")
    add("--force", action="store_true", help="write an image without files, or .mpy code that this firmware refuses")
    add("--folder", action="store_true", help="IMAGE is a folder without [tool.romfs]: pack all of it")
    add("--no-boot", action="store_true", help="interrupt boot.py in the reset before the partition is changed")
    add("--no-reset", action="store_true", help="do not reset the board, nor see whether it mounts the image")
    add("--baudrate", type=_baudrate, default=115200, metavar="N", help="of the port; by default 115200")
    add("--dtr", choices=("on", "off"), help="set this line before the port is opened; by default as the system does")
    add("--rts", choices=("on", "off"), help="the same")
    add_common_options(top)
    add("-vv", dest="trace", action="store_true", help="show every byte on the wire")
    return top


def _baudrate(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"must be a speed such as 115200, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"must be seconds, not {text!r}")
    return float(text)


def _port(options: argparse.Namespace) -> PortOptions:
    from hatch_romfs.board.link import ignore_message
    from hatch_romfs.board.session import PortOptions

    lines = {"on": True, "off": False, None: None}
    port, origin = options.port, ""
    if port is None and (named := os.environ.get(PORT_VARIABLE)):
        port, origin = named, PORT_VARIABLE
    return PortOptions(
        port,
        options.baudrate,
        lines[options.dtr],
        lines[options.rts],
        options.wait,
        origin,
        ignore_message if options.quiet or options.json else tell,
        boot=not options.no_boot,
    )


def _trace(options: argparse.Namespace) -> Trace | None:
    def trace(way: str, data: bytes) -> None:
        sys.stderr.write(f"{way} {data!r}\n")

    return trace if options.trace else None


def flash(options: argparse.Namespace) -> None:
    """Write an image."""
    from hatch_romfs.board.flash import flash as write
    from hatch_romfs.cli import show
    from hatch_romfs.cli.source import check_content, open_source

    source = options.source
    if options.installed:
        from hatch_romfs.images.installed import installed_image

        source = installed_image(options.installed, options.image)
    with open_source(options, source) as image, show.progress(quiet=options.quiet or options.json) as on_event:
        if not options.force:
            check_content(image.path, source)
        done = write(
            image.path,
            _port(options),
            partition=image.partition,
            force=options.force,
            full=options.full,
            dry_run=options.dry_run,
            reset=not options.no_reset,
            on_board=image.check_board,
            on_event=on_event,
            trace=_trace(options),
        )
    steps = [{"action": step.action, "offset": step.offset, "length": step.length} for step in done.plan.steps]
    if options.json:
        print_json(
            {
                "board": done.board.machine,
                "partition": done.partition.number,
                "size": done.size,
                "dry_run": options.dry_run,
                "steps": steps,
                "written": 0 if options.dry_run else done.plan.writes,
                "blocks_kept": done.plan.kept,
                "rewritten": done.rewritten,
                "resent": done.resent,
                "sent": done.sent,
                "received": done.received,
                "verified": not options.dry_run,
                "mounted": done.mounted,
                "warnings": image.warnings,
            }
        )
        return
    if options.quiet:
        return
    if options.dry_run or options.verbose:
        for step in done.plan.steps:
            say(str(step))
    where = f"partition {done.partition.number} of {done.board.machine}"
    if options.dry_run:
        say(f"{where}: {done.plan.writes:,} of {done.size:,} bytes would be written")
    else:
        mounted = ", mounted at /rom" if done.mounted else ""
        say(f"{where}: {done.size:,} bytes verified, {done.plan.writes:,} of them written{mounted}")


def query(options: argparse.Namespace) -> None:
    """Say what a board is."""
    from hatch_romfs.board.flash import query as ask
    from hatch_romfs.board.listing import list_files
    from hatch_romfs.cli import boards

    listed: tuple[PartitionListing, ...] = ()
    if options.files:
        board, listed = list_files(_port(options), trace=_trace(options))
    else:
        board = ask(_port(options), trace=_trace(options))
    if options.json:
        print_json(boards.document(board, listed))
    elif not options.quiet:
        boards.show_board(board, listed, verbose=options.verbose)


def verify(options: argparse.Namespace) -> None:
    """Compare only."""
    from hatch_romfs.board.flash import verify as compare
    from hatch_romfs.cli import show
    from hatch_romfs.cli.source import open_source

    with (
        open_source(options, options.verify) as image,
        show.progress(quiet=options.quiet or options.json) as on_event,
    ):
        board = compare(
            image.path,
            _port(options),
            partition=image.partition,
            on_board=image.check_board,
            on_event=on_event,
            trace=_trace(options),
        )
    if options.json:
        document = {"board": board.machine, "partition": image.partition, "verified": True, "warnings": image.warnings}
        print_json(document)
    elif not options.quiet:
        say(f"partition {image.partition} of {board.machine} holds {options.verify}, byte for byte")


def read(options: argparse.Namespace) -> None:
    """Write what a partition holds to a file."""
    from hatch_romfs.board.flash import read as fetch
    from hatch_romfs.builder.output import check_new, write_output
    from hatch_romfs.cli import show

    partition = options.partition or 0
    check_new(options.read)  # before anything is read, which takes its time
    with show.progress(quiet=options.quiet or options.json) as on_event:
        data = fetch(
            _port(options),
            partition=partition,
            whole=options.whole,
            on_event=on_event,
            trace=_trace(options),
        )
    write_output(options.read, [data], replace=False)
    if options.json:
        print_json({"path": str(options.read), "size": len(data), "partition": partition})
    elif not options.quiet:
        say(f"{options.read}: {len(data):,} bytes")


def erase(options: argparse.Namespace) -> None:
    """Erase a partition."""
    from hatch_romfs.board.flash import erase as clear
    from hatch_romfs.cli import show

    partition = options.partition or 0
    with show.progress(quiet=options.quiet or options.json) as on_event:
        board = clear(_port(options), partition=partition, on_event=on_event, trace=_trace(options))
    if options.json:
        print_json({"board": board.machine, "partition": partition, "erased": True})
    elif not options.quiet:
        say(f"partition {partition} of {board.machine} is erased")


def serve(options: argparse.Namespace) -> None:
    """Run a simulated board."""
    from hatch_romfs.cli.serve import serve as run_board

    run_board(options)


def list_ports(options: argparse.Namespace) -> None:
    """List the serial ports."""
    from dataclasses import asdict

    from hatch_romfs.board.ports import list_ports as find

    ports = find()
    if options.json:
        print_json({"ports": [asdict(port) for port in ports]})
        return
    if not ports and not options.quiet:
        say("no serial ports found")
    for port in ports:
        serial_number = f"  id:{port.serial_number}" if port.serial_number else ""
        say(f"{port.name}  {port.description}{serial_number}")
