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
        **dict.fromkeys(("dry_run", "full", "force", "yes", "no_reset", "run", "autostart"), ("source", "installed")),
        "watch": ("source",),
        "no_boot": ("source", "installed", "erase"),
        "image": ("source", "installed", "verify"),
        "folder": ("source", "verify"),
        "to_filesystem": ("source", "installed", "query", "verify", "erase"),
    }
    for name, actions in meant.items():
        given = getattr(options, name) is not None if name == "to_filesystem" else getattr(options, name)
        if given and asked not in actions:
            alone = " and ".join(f"--{action}" for action in actions if action not in ("source", "installed"))
            raise SettingsError(f"--{name.replace('_', '-')} is for {alone or 'writing an image'}")
    _check_output(options)
    _check_filesystem(options)
    source = options.source or options.verify
    if options.image and source and source.is_file():
        raise SettingsError(f"--image names one of a project's images, and {source} is an image already")
    if options.folder and not source.is_dir():
        raise SettingsError(f"--folder: {source} is not a folder")


def _check_filesystem(options: argparse.Namespace) -> None:
    """Refuse what has no effect with the files of a filesystem."""
    if options.to_filesystem is None:
        return
    if options.autostart == "main":
        raise SettingsError("--autostart main: main.py would import itself", hint="Rename the module of the project.")
    for name, given in {"partition": options.partition is not None, "files": options.files}.items():
        if given:
            raise SettingsError(f"--{name} cannot be used with --to-filesystem")


def _check_output(options: argparse.Namespace) -> None:
    """Refuse what cannot go together with the output of a board."""
    shown = [f"--{name}" for name in ("watch", "run", "monitor") if getattr(options, name)]
    beside = ("watch", "run", "json") if options.monitor else ("run", "json", "dry_run", "no_reset")
    for name in beside:
        if shown and f"--{name}" != shown[0] and getattr(options, name):
            raise SettingsError(f"--{name.replace('_', '-')} cannot be used with {shown[0]}")
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
    _add_details(top)
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
    add("--yes", action="store_true", help="replace an image that has another name without asking")
    add("--folder", action="store_true", help="IMAGE is a folder without [tool.romfs]: pack all of it")
    add("--no-boot", action="store_true", help="interrupt boot.py in the reset before the partition is changed")
    add("--no-reset", action="store_true", help="do not reset the board, nor see whether it mounts the image")
    add("--baudrate", type=_baudrate, default=115200, metavar="N", help="of the port; by default 115200")
    add("--dtr", choices=("on", "off"), help="set this line before the port is opened; by default as the system does")
    add("--rts", choices=("on", "off"), help="the same")


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
