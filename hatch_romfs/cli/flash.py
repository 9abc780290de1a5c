"""``romfs-flash``: an image into a board's partition, and what is there now."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line, run, say, tell
from hatch_romfs.cli.flash_options import check_together, parser, with_seconds, writes_many
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.board.session import PortOptions, Session

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415

PORT_VARIABLE = "ROMFS_PORT"
"""The environment variable that names the port where ``--port`` does not."""
NO_IMAGE_HINT = "IMAGE comes before --to-filesystem, whose FOLDER is on the board: romfs-flash IMAGE --to-filesystem"


def main() -> None:
    """Run the command ``romfs-flash``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-flash`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(with_seconds(arguments))
    options.port = options.ports[-1] if options.ports else None
    actions = [
        name
        for name in ("query", "verify", "read", "erase", "list_ports", "serve", "monitor", "summary")
        if getattr(options, name)
    ]
    if options.image and not (options.source or options.installed or options.fleet or actions):
        options.source = Path()
    asked = [name for name in ("source", "installed", "fleet", *actions) if getattr(options, name)]
    if len(asked) != 1:
        named = " and ".join("IMAGE" if name == "source" else f"--{name.replace('_', '-')}" for name in asked)
        raise SettingsError(
            f"{named}: only one of these at a time"
            if asked
            else "name an IMAGE to write, or one of --installed, --query, --verify, --read, --erase, --list-ports,"
            " --serve, --monitor, --summary, --fleet",
            hint=NO_IMAGE_HINT if options.to_filesystem else "'romfs-flash --help' shows how it is used.",
        )
    check_together(options, asked[0])
    doing = {
        "query": query,
        "verify": verify,
        "read": read,
        "erase": erase,
        "list_ports": list_ports,
        "serve": serve,
        "monitor": monitor,
        "summary": summary,
    }
    if options.watch:
        watch(options)
    elif options.to_filesystem is not None:
        filesystem(options, actions[0] if actions else "write")
    elif writes_many(options):
        flash_many(options)
    else:
        (doing[actions[0]] if actions else flash)(options)


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
        ignore_message if options.json else tell,
        boot=not options.no_boot,
    )


def _trace(options: argparse.Namespace) -> Trace | None:
    def trace(way: str, data: bytes) -> None:
        sys.stderr.write(f"{way} {data!r}\n")

    return trace if options.trace else None


def flash(options: argparse.Namespace) -> None:
    """Write an image."""
    from hatch_romfs.board.flash import flash as write
    from hatch_romfs.cli import replacing, show
    from hatch_romfs.cli.source import check_content, open_source

    removed: list[str] = []

    def on_replace(found: Replacement) -> None:
        removed.extend(found.removed)
        replacing.announce(
            found,
            quiet=options.quiet or options.json,
            verbose=options.verbose,
            yes=options.yes or options.dry_run or options.json,
        )

    source = options.source
    if options.installed:
        from hatch_romfs.images.installed import installed_image

        source = installed_image(options.installed, options.image)
    with open_source(options, source) as image, show.progress(quiet=options.json) as on_event:
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
            on_replace=on_replace,
            on_flashed=lambda found, done: _after(options, found, _summary(done), is_restarted=bool(done.mounted)),
            trace=_trace(options),
            name=str(source),
        )
    if not options.run:
        _show_result(options, done, image.warnings, removed)


def filesystem(options: argparse.Namespace, action: str) -> None:
    """Write, compare, remove, or list the files of a filesystem."""
    from hatch_romfs.cli import filesystem as files

    port, trace = _port(options), _trace(options)
    match action:
        case "write":
            files.write(options, port, trace, partial(_after, options, is_restarted=False))
        case "verify":
            files.verify(options, port, trace)
        case "erase":
            files.erase(options, port, trace)
        case _:
            files.query(options, port, trace)


def _after(options: argparse.Namespace, found: Session, summary: str, *, is_restarted: bool) -> None:
    """Do what is to be done on a board that was just written to."""
    if options.autostart:
        from hatch_romfs.board.autostart import write_main

        if not is_restarted:  # the last reset was one that changed the working folder
            found.restart()
        changed = write_main(found.repl, options.autostart)
        if not options.json:
            tell(f"main.py {'imports' if changed else 'already imported'} {options.autostart}")
    if options.run:
        from hatch_romfs.cli.monitor import run as run_on_board

        tell(summary)
        run_on_board(found, options.run)


def _show_result(options: argparse.Namespace, done: FlashResult, warnings: list[str], removed: list[str]) -> None:
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
                "copied": done.copied,
                "blocks_kept": done.plan.kept,
                "rewritten": done.rewritten,
                "resent": done.resent,
                "sent": done.sent,
                "received": done.received,
                "verified": not options.dry_run,
                "mounted": done.mounted,
                "removed": removed,
                "warnings": warnings,
            }
        )
        return
    show_line = print_line if options.dry_run else say
    if options.dry_run or options.verbose:
        for step in done.plan.steps:
            show_line(str(step))
    show_line(_summary(done, dry_run=options.dry_run))


def _summary(done: FlashResult, *, dry_run: bool = False) -> str:
    where = f"partition {done.partition.number} of {done.board.machine}"
    if dry_run:
        return f"{where}: {done.plan.writes:,} of {done.size:,} bytes would be written"
    mounted = ", mounted at /rom" if done.mounted else ""
    copied = f" ({done.copied:,} copied on the board)" if done.copied else ""
    return f"{where}: {done.size:,} bytes verified, {done.plan.writes:,} of them written{copied}{mounted}"


def watch(options: argparse.Namespace) -> None:
    """Build and write at each save."""
    from hatch_romfs.cli.watch import watch as run_loop

    run_loop(options, _port(options), _trace(options))


def flash_many(options: argparse.Namespace) -> None:
    """Write to many boards."""
    from hatch_romfs.cli.fleet import flash_many as write

    write(options, _port(options))


def summary(options: argparse.Namespace) -> None:
    """Count the results in a report."""
    from hatch_romfs.cli.report import summarize

    summarize(options)


def monitor(options: argparse.Namespace) -> None:
    """Show what the board prints."""
    from hatch_romfs.cli.monitor import monitor as show

    show(_port(options), _trace(options))


def query(options: argparse.Namespace) -> None:
    """Say what a board is."""
    from hatch_romfs.board.listing import list_files
    from hatch_romfs.board.reading import query as ask
    from hatch_romfs.cli import boards

    listed: tuple[PartitionListing, ...] = ()
    if options.files:
        board, listed = list_files(_port(options), trace=_trace(options))
    else:
        board = ask(_port(options), trace=_trace(options))
    if options.json:
        print_json(boards.document(board, listed))
    else:
        boards.show_board(board, listed, verbose=options.verbose)


def verify(options: argparse.Namespace) -> None:
    """Compare only."""
    from hatch_romfs.board.reading import verify as compare
    from hatch_romfs.cli import show
    from hatch_romfs.cli.source import open_source

    with (
        open_source(options, options.verify) as image,
        show.progress(quiet=options.json) as on_event,
    ):
        board = compare(
            image.path,
            _port(options),
            partition=image.partition,
            on_board=image.check_board,
            on_event=on_event,
            trace=_trace(options),
            name=str(options.verify),
        )
    if options.json:
        document = {"board": board.machine, "partition": image.partition, "verified": True, "warnings": image.warnings}
        print_json(document)
    else:
        say(f"partition {image.partition} of {board.machine} holds {options.verify}, byte for byte")


def read(options: argparse.Namespace) -> None:
    """Write what a partition holds to a file."""
    from hatch_romfs.board.reading import read as fetch
    from hatch_romfs.builder.output import check_new, write_output
    from hatch_romfs.cli import show

    partition = options.partition or 0
    check_new(options.read)  # before anything is read, which takes its time
    with show.progress(quiet=options.json) as on_event:
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
    else:
        say(f"{options.read}: {len(data):,} bytes")


def erase(options: argparse.Namespace) -> None:
    """Erase a partition."""
    from hatch_romfs.board.flash import erase as clear
    from hatch_romfs.cli import show

    partition = options.partition or 0
    with show.progress(quiet=options.json) as on_event:
        board = clear(_port(options), partition=partition, on_event=on_event, trace=_trace(options))
    if options.json:
        print_json({"board": board.machine, "partition": partition, "erased": True})
    else:
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
    if not ports:
        say("no serial ports found")
    for port in ports:
        serial_number = f"  id:{port.serial_number}" if port.serial_number else ""
        print_line(f"{port.name}  {port.description}{serial_number}")
