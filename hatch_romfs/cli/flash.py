"""``romfs-flash``: an image into a board's partition, and what is there now."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.cli.command import Parser, Version, add_common_options, print_json, printable, run, say
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.listing import Listed
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import PortOptions

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415


def main() -> None:
    """Run the command ``romfs-flash``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-flash`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(arguments)
    actions = [name for name in ("query", "verify", "read", "erase", "list_ports") if getattr(options, name)]
    if options.image and not (options.source or options.installed or actions):
        options.source = Path()
    asked = [name for name in ("source", "installed", *actions) if getattr(options, name)]
    if len(asked) != 1:
        named = " and ".join("IMAGE" if name == "source" else f"--{name.replace('_', '-')}" for name in asked)
        raise SettingsError(
            f"{named}: only one of these at a time"
            if asked
            else "name an IMAGE to write, or one of --installed, --query, --verify, --read, --erase, --list-ports",
            hint="'romfs-flash --help' shows how it is used.",
        )
    _check_together(options, asked[0])
    doing = {"query": query, "verify": verify, "read": read, "erase": erase, "list_ports": list_ports}
    (doing[actions[0]] if actions else flash)(options)


def _check_together(options: argparse.Namespace, asked: str) -> None:
    """Refuse options that mean nothing beside what is asked for, before one is taken to have been heeded."""
    meant = {
        "files": ("query",),
        "whole": ("read",),
        **dict.fromkeys(("dry_run", "full", "force", "no_reset"), ("source", "installed")),
        "image": ("source", "installed", "verify"),
    }
    for name, actions in meant.items():
        if getattr(options, name) and asked not in actions:
            alone = " and ".join(f"--{action}" for action in actions if action not in ("source", "installed"))
            raise SettingsError(f"--{name.replace('_', '-')} is for {alone or 'writing an image'}")
    source = options.source or options.verify
    if options.image and source and source.is_file():
        raise SettingsError(f"--image names one of a project's images, and {source} is an image already")


def parser() -> Parser:
    """Return the parser of ``romfs-flash``."""
    top = Parser(
        prog="romfs-flash",
        description="Write a ROMFS image into a partition of a MicroPython board, verified, so that a cut at any"
        " moment leaves nothing broken that mounts. IMAGE is an image, or a project or folder, which is built first.",
    )
    add = top.add_argument
    add("--version", action=Version, nargs=0, help="print the version and end")
    add("source", nargs="?", type=Path, metavar="IMAGE", help="an image, a project or a folder")
    add("--installed", metavar="NAME", help="write the image that this installed package has brought")
    add("--image", metavar="NAME", help="of several images of a project or a package the one that is meant")
    add(
        "--port",
        metavar="PORT",
        help="a port or URL, id:SERIAL, or sim: for a simulated board; by default the only board",
    )
    add("--partition", type=int, metavar="N", help="the partition; by default the project's, or 0")
    what = top.add_mutually_exclusive_group()
    what.add_argument("--query", action="store_true", help="say what the board is, and what its partitions hold")
    what.add_argument("--verify", type=Path, metavar="IMAGE", help="compare only")
    what.add_argument("--read", type=Path, metavar="OUT", help="write the image that the partition holds to a file")
    what.add_argument("--erase", action="store_true", help="erase the partition")
    what.add_argument("--list-ports", action="store_true", help="list the serial ports of this machine")
    add("--files", action="store_true", help="with --query: list the files that each partition's image holds")
    add("--whole", action="store_true", help="with --read: the whole partition, whatever it holds")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing to the partition")
    add("--full", action="store_true", help="write every block, also those that are right already")
    add("--force", action="store_true", help="write .mpy code that this firmware refuses")
    add("--no-reset", action="store_true", help="do not reset the board, nor see whether it mounts the image")
    add("--baudrate", type=int, default=115200, metavar="N", help="of the port; by default 115200")
    add("--dtr", choices=("on", "off"), help="set this line before the port is opened; by default as the system does")
    add("--rts", choices=("on", "off"), help="the same")
    add_common_options(top)
    add("-vv", dest="trace", action="store_true", help="show every byte on the wire")
    return top


def _port(options: argparse.Namespace) -> PortOptions:
    from hatch_romfs.board.session import PortOptions

    lines = {"on": True, "off": False, None: None}
    return PortOptions(options.port, options.baudrate, lines[options.dtr], lines[options.rts])


def _trace(options: argparse.Namespace) -> Trace | None:
    def trace(way: str, data: bytes) -> None:
        sys.stderr.write(f"{way} {data!r}\n")

    return trace if options.trace else None


class _Image(NamedTuple):
    """An image's file, the board that its project is for, the partition to use, and what its maker was warned of."""

    path: Path
    board: str | None
    partition: int
    warnings: list[str]

    def warn(self, text: str) -> None:
        """Say it on standard error, and keep it for the document."""
        self.warnings.append(text)
        sys.stderr.write(f"warning: {printable(text)}\n")

    def meet(self, board: Board) -> None:
        """Warn where the connected board is another than that of the project."""
        if self.board is None:
            return
        from hatch_romfs.board.checks import unlike
        from hatch_romfs.settings.boards import boards

        if differing := unlike(board, boards()[self.board]):
            self.warn(f"the connected board may be no {self.board}: {'; '.join(differing)}")


@contextmanager
def _image(options: argparse.Namespace, source: Path) -> Iterator[_Image]:
    """Return the image; a project's or a folder's is built into a temporary file."""
    if not source.is_dir():
        yield _Image(source, None, options.partition or 0, [])
        return
    import tempfile

    from hatch_romfs.builder.api import build
    from hatch_romfs.cli import show
    from hatch_romfs.settings.project import has_table, load

    document = load(source)
    if document is not None and "project" in document and not has_table(document):
        raise SettingsError(
            f"{source / 'pyproject.toml'} has no [tool.romfs] table",
            hint="Add one, or say with 'romfs-image build' that the whole folder is meant.",
        )
    with tempfile.TemporaryDirectory(prefix="hatch-romfs-") as folder:
        with show.progress(quiet=options.quiet or options.json) as on_progress:
            out = Path(folder) / "image.romfs"
            built = build(source, out, image=options.image or "", on_progress=on_progress)
        partition = built.partition if options.partition is None else options.partition
        image = _Image(built.path, built.board, partition, [])
        for warning in built.warnings:
            image.warn(warning)
        yield image


def flash(options: argparse.Namespace) -> None:
    """Write an image."""
    from hatch_romfs.board.flash import flash as write
    from hatch_romfs.cli import show

    source = options.source
    if options.installed:
        from hatch_romfs.images.installed import installed_image

        source = installed_image(options.installed, options.image)
    with _image(options, source) as image, show.board_progress(quiet=options.quiet or options.json) as on_event:
        done = write(
            image.path,
            _port(options),
            partition=image.partition,
            force=options.force,
            full=options.full,
            dry_run=options.dry_run,
            reset=not options.no_reset,
            on_board=image.meet,
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
    where = f"partition {done.partition.number} of {printable(done.board.machine)}"
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

    listed: tuple[Listed, ...] = ()
    if options.files:
        board, listed = list_files(_port(options), trace=_trace(options))
    else:
        board = ask(_port(options), trace=_trace(options))
    if options.json:
        print_json(boards.document(board, listed))
    elif not options.quiet:
        boards.show_board(board, listed)


def verify(options: argparse.Namespace) -> None:
    """Compare only."""
    from hatch_romfs.board.flash import verify as compare
    from hatch_romfs.cli import show

    with _image(options, options.verify) as image, show.board_progress(quiet=options.quiet or options.json) as on_event:
        board = compare(
            image.path,
            _port(options),
            partition=image.partition,
            on_board=image.meet,
            on_event=on_event,
            trace=_trace(options),
        )
    if options.json:
        document = {"board": board.machine, "partition": image.partition, "verified": True, "warnings": image.warnings}
        print_json(document)
    elif not options.quiet:
        say(f"partition {image.partition} of {printable(board.machine)} holds {options.verify}, byte for byte")


def read(options: argparse.Namespace) -> None:
    """Write what a partition holds to a file."""
    from hatch_romfs.board.flash import read as fetch
    from hatch_romfs.cli import show

    partition = options.partition or 0
    there_already = SettingsError(f"{options.read} is there already", hint="Name a new file.")
    if options.read.exists():  # said before anything is read, which takes its time
        raise there_already
    with show.board_progress(quiet=options.quiet or options.json) as on_event:
        data = fetch(
            _port(options),
            partition=partition,
            whole=options.whole,
            on_event=on_event,
            trace=_trace(options),
        )
    try:
        with options.read.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise there_already from None
    if options.json:
        print_json({"path": str(options.read), "size": len(data), "partition": partition})
    elif not options.quiet:
        say(f"{options.read}: {len(data):,} bytes")


def erase(options: argparse.Namespace) -> None:
    """Erase a partition."""
    from hatch_romfs.board.flash import erase as clear
    from hatch_romfs.cli import show

    partition = options.partition or 0
    with show.board_progress(quiet=options.quiet or options.json) as on_event:
        board = clear(_port(options), partition=partition, on_event=on_event, trace=_trace(options))
    if options.json:
        print_json({"board": board.machine, "partition": partition, "erased": True})
    elif not options.quiet:
        say(f"partition {partition} of {printable(board.machine)} is erased")


def list_ports(options: argparse.Namespace) -> None:
    """List the serial ports."""
    from dataclasses import asdict

    from hatch_romfs.board.ports import list_ports as find

    ports = find()
    if options.json:
        print_json({"ports": [asdict(port) for port in ports]})
        return
    for port in ports:
        serial_number = f"  id:{port.serial_number}" if port.serial_number else ""
        say(f"{port.name}  {printable(port.description)}{serial_number}")
