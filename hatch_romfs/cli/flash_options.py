"""The options of ``romfs-flash``, and which of them go together."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import Parser, add_common_options, add_program_options
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT = "60"
"""Seconds for ``--wait`` without a number."""

WRITING = ("source", "installed", "fleet")
"""What names the image to write."""
LONGEST_MODULE = 100
"""Characters of a module's name."""


def with_seconds(arguments: Sequence[str]) -> list[str]:
    """Give a ``--wait`` that no number follows its seconds: argparse would take IMAGE for them."""
    following = [*arguments[1:], ""]
    return [
        f"--wait={WAIT}" if argument == "--wait" and not re.fullmatch(r"[0-9.]+", after) else argument
        for argument, after in zip(arguments, following, strict=False)
    ]


def check_together(options: argparse.Namespace, asked: str) -> None:
    """Refuse options that have no effect together with what is asked for."""
    meant = {
        "files": ("query",),
        "whole": ("read",),
        **dict.fromkeys(("dry_run", "run", "autostart", "all", "watch_ports"), ("source", "installed")),
        **dict.fromkeys(("full", "force", "no_reset", "yes"), WRITING),
        **dict.fromkeys(("jobs", "canary", "stop_after", "report", "filters"), WRITING),
        "watch": ("source",),
        "no_boot": (*WRITING, "erase"),
        "image": ("source", "installed", "verify"),
        "folder": ("source", "verify"),
        "to_filesystem": ("source", "installed", "query", "verify", "erase"),
    }
    for name, actions in meant.items():
        given = getattr(options, name) is not None if name == "to_filesystem" else getattr(options, name)
        if given and asked not in actions:
            alone = " and ".join(f"--{action}" for action in actions if action not in WRITING)
            raise SettingsError(f"{_option(name)} is for {alone or 'writing an image'}")
    _check_output(options)
    _check_filesystem(options)
    _check_many(options, asked)
    source = options.source or options.verify
    if options.image and source and source.is_file():
        raise SettingsError(f"--image names one of a project's images, and {source} is an image already")
    if options.folder and not source.is_dir():
        raise SettingsError(f"--folder: {source} is not a folder")


def _check_filesystem(options: argparse.Namespace) -> None:
    """Refuse what has no effect with the files of a filesystem."""
    if options.to_filesystem is None:
        return
    if writes_many(options):
        raise SettingsError("--to-filesystem is for one board", hint="Write to one after the other with --port.")
    for name, given in {"partition": options.partition is not None, "files": options.files}.items():
        if given:
            raise SettingsError(f"--{name} cannot be used with --to-filesystem")


def writes_many(options: argparse.Namespace) -> bool:
    """Tell whether boards are written side by side, each in a process of its own, or with a report."""
    return bool(options.all or options.watch_ports or options.fleet or options.report or len(options.ports or ()) > 1)


def _option(name: str) -> str:
    return f"--{name.removesuffix('s') if name in ('filters', 'ports') else name.replace('_', '-')}"


def _check_many(options: argparse.Namespace, asked: str) -> None:
    """Refuse options that have no effect with one board, or with many."""
    if len(options.ports or ()) > 1 and asked not in WRITING:
        raise SettingsError("more than one --port is for writing an image")
    choices = [name for name in ("all", "watch_ports", "fleet", "ports") if getattr(options, name)]
    if len(choices) > 1:
        raise SettingsError(f"{_option(choices[1])} cannot be used with {_option(choices[0])}")
    needs = {
        "filters": ("--all, --watch-ports, and --fleet", options.all or options.watch_ports or options.fleet),
        "expect": ("--watch-ports", options.watch_ports),
        **dict.fromkeys(("jobs", "canary", "stop_after"), ("many boards, as with --all", writes_many(options))),
    }
    for name, (use, is_used) in needs.items():
        if getattr(options, name) and not is_used:
            raise SettingsError(f"{_option(name)} is for {use}")
    if writes_many(options):
        _check_beside_many(options, _option(choices[0]) if choices else "--report")


def _check_beside_many(options: argparse.Namespace, which: str) -> None:
    """Refuse what only one board can have."""
    beside = ["dry_run", "watch", "run", "autostart", "trace", *(("partition",) if options.fleet else ())]
    if options.watch_ports:
        beside += ["canary", "stop_after", "json", "wait"]
    for name in beside:
        if getattr(options, name):
            raise SettingsError(f"{'-vv' if name == 'trace' else _option(name)} cannot be used with {which}")


def _check_output(options: argparse.Namespace) -> None:
    """Refuse what cannot go together with the output of a board."""
    shown = [f"--{name}" for name in ("watch", "run", "monitor") if getattr(options, name)]
    beside = ("watch", "run", "json") if options.monitor else ("run", "json", "dry_run", "no_reset")
    for name in beside:
        if shown and f"--{name}" != shown[0] and getattr(options, name):
            raise SettingsError(f"--{name.replace('_', '-')} cannot be used with {shown[0]}")
    if options.autostart == "main":
        raise SettingsError("--autostart main: main.py would import itself", hint="Rename the module of the project.")
    if options.autostart and (options.dry_run or options.no_reset):
        raise SettingsError(f"--{'dry-run' if options.dry_run else 'no-reset'} cannot be used with --autostart")
    if options.watch and not options.source.is_dir():
        raise SettingsError(f"--watch builds a project or a folder, and {options.source} is not a folder")


def parser() -> Parser:
    """Return the parser of ``romfs-flash``."""
    top = Parser(
        prog="romfs-flash",
        description="Write a ROMFS image into a partition of a MicroPython board, verified, so that a cut at any"
        " moment leaves nothing broken that mounts. IMAGE is an image, or a project or folder, which is built first.",
    )
    add_program_options(top)
    add = top.add_argument
    add("source", nargs="?", type=Path, metavar="IMAGE", help="an image, a project or a folder")
    add("--installed", metavar="NAME", help="write the image of this installed package")
    add("--image", metavar="NAME", help="which image of a project or package that has several")
    add(
        "--port",
        action="append",
        dest="ports",
        metavar="PORT",
        help="a port or URL, id:SERIAL or the beginning of it, or sim: for a simulated board; by default $ROMFS_PORT,"
        " or the only board; can be repeated",
    )
    add(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help=f"wait for a board that is not plugged in yet; without a number, {WAIT} seconds",
    )
    add(
        "--to-filesystem",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="write the files of the image to the board's writable filesystem instead, for a board without ROMFS;"
        " FOLDER is on the board, by default the root",
    )
    add("--partition", type=int, metavar="N", help="the partition; by default the project's, or 0")
    what = top.add_mutually_exclusive_group()
    what.add_argument("--query", action="store_true", help="show the board and what its partitions hold")
    what.add_argument("--verify", type=Path, metavar="IMAGE", help="compare only")
    what.add_argument("--read", type=Path, metavar="OUT", help="write the image that the partition holds to a file")
    what.add_argument("--erase", action="store_true", help="erase the partition")
    what.add_argument("--list-ports", action="store_true", help="list the serial ports of this machine")
    what.add_argument("--serve", action="store_true", help="run the simulated board of --port for other programs")
    what.add_argument("--monitor", action="store_true", help="only show what the board prints; Ctrl-] leaves")
    what.add_argument("--summary", type=Path, metavar="FILE", help="count the results of a --report, list failures")
    _add_details(top)
    _add_many(top)
    add_common_options(top)
    add("-vv", dest="trace", action="store_true", help="show every byte on the wire")
    return top


def _add_details(top: Parser) -> None:
    """Add the options that say how an image is written, and what comes afterward."""
    add = top.add_argument
    add("--watch", action="store_true", help="build and write again at each save, and show the board's output")
    add("--run", type=_module, metavar="MODULE", help="import a module after the reset, and show its output")
    add("--autostart", type=_module, metavar="MODULE", help="have main.py on the board import a module at each start")
    add("--files", action="store_true", help="with --query: list the files that each partition's image holds")
    add("--whole", action="store_true", help="with --read: the whole partition, whatever it holds")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing to the partition")
    add("--full", action="store_true", help="write every block, also those that are right already")
    add("--force", action="store_true", help="write an image without files, or .mpy code that this firmware refuses")
    add(
        "--yes",
        action="store_true",
        help="write to many boards, or replace an image or files of another name, without asking",
    )
    add("--folder", action="store_true", help="IMAGE is a folder without [tool.romfs]: pack all of it")
    add("--no-boot", action="store_true", help="interrupt boot.py in the reset before the partition is changed")
    add("--no-reset", action="store_true", help="do not reset the board, nor see whether it mounts the image")
    add("--baudrate", type=_baudrate, default=115200, metavar="N", help="of the port; by default 115200")
    add("--dtr", choices=("on", "off"), help="set this line before the port is opened; by default as the system does")
    add("--rts", choices=("on", "off"), help="the same")


def _add_many(top: Parser) -> None:
    """Add the options for many boards."""
    add = top.add_argument_group("many boards").add_argument
    add("--all", action="store_true", help="write to every USB port at which a MicroPython board answers")
    add("--watch-ports", action="store_true", help="write to every board that is plugged in from now on")
    add("--fleet", type=Path, metavar="FILE", help="write to the boards of a fleet.toml; without IMAGE")
    add(
        "--filter",
        action="append",
        dest="filters",
        metavar="TEXT",
        help="with --all, --watch-ports, or --fleet: only boards with this VID:PID, id:SERIAL, or part of the machine"
        " name; can be repeated",
    )
    add("--jobs", type=_number, metavar="N", help="how many boards at once; by default 16")
    add("--canary", type=_number, metavar="N", help="write to N boards first, and to the others if these succeed")
    add("--stop-after", type=_number, metavar="N", help="start no more boards after N failures")
    add("--expect", type=_number, metavar="N", help="with --watch-ports: end after N boards are verified")
    add("--report", type=Path, metavar="FILE", help="append a line of JSON for each board; skip boards that are done")


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 9999, not {text!r}")
    return int(text)


def _baudrate(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"must be a speed such as 115200, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"must be seconds, not {text!r}")
    return float(text)


def _module(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", text, re.ASCII) or len(text) > LONGEST_MODULE:
        raise argparse.ArgumentTypeError(f"must be the name of a module such as app.main, not {text!r}")
    return text
