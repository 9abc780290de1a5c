"""``romfs-flash``: an image into a board's partition, and what is there now."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line, run, say, tell
from hatch_romfs.cli.flash_options import check_together, parser, with_seconds, writes_many
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.session import PortOptions

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
    known = {
        "query": query,
        "verify": verify,
        "read": read,
        "erase": erase,
        "list_ports": list_ports,
        "serve": serve,
        "monitor": monitor,
        "summary": summary,
    }
    actions = [name for name in known if getattr(options, name)]
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
    if options.watch:
        watch(options)
    elif options.to_filesystem is not None:
        filesystem(options, actions[0] if actions else "write")
    elif writes_many(options):
        flash_many(options)
    else:
        (known[actions[0]] if actions else flash)(options)


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
    from hatch_romfs.cli.write import write as write_image

    write_image(options, _port(options), _trace(options))


def filesystem(options: argparse.Namespace, action: str) -> None:
    """Write, compare, remove, or list the files of a filesystem."""
    from hatch_romfs.cli import filesystem as files

    port, trace = _port(options), _trace(options)
    match action:
        case "write":
            files.write(options, port, trace)
        case "verify":
            files.verify(options, port, trace)
        case "erase":
            files.erase(options, port, trace)
        case _:
            files.query(options, port, trace)


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
    """Show a board."""
    from hatch_romfs.cli.partition import query as show_board

    show_board(options, _port(options), _trace(options))


def verify(options: argparse.Namespace) -> None:
    """Compare a partition with an image."""
    from hatch_romfs.cli.partition import verify as compare

    compare(options, _port(options), _trace(options))


def read(options: argparse.Namespace) -> None:
    """Write what a partition holds to a file."""
    from hatch_romfs.cli.partition import read as back_up

    back_up(options, _port(options), _trace(options))


def erase(options: argparse.Namespace) -> None:
    """Erase a partition."""
    from hatch_romfs.cli.partition import erase as clear

    clear(options, _port(options), _trace(options))


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
        serial_number = f"id:{port.serial_number}" if port.serial_number else ""
        print_line("  ".join(filter(None, (port.name, port.description, port.usb_id, serial_number))))
