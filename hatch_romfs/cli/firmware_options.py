"""The options of ``romfs-image`` for firmware files, without the code that does the work: every start reads these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli import numbers

if TYPE_CHECKING:
    from hatch_romfs.cli.command import Parser


def add_bundle_options(parser: Parser) -> None:
    """Add the options of ``romfs-image bundle``."""
    parser.description = (
        "Write one file with firmware and images, each in the ROMFS partition of its number. The address comes from the"
        " firmware itself, from its partition table, or from you, and is never guessed."
    )
    add = parser.add_argument
    add(
        "firmware", type=Path, metavar="FIRMWARE", help="a UF2, ESP32, Intel HEX, S-record, DfuSe, or plain binary file"
    )
    add("images", type=Path, nargs="+", metavar="IMAGE", help="the image for partition 0, then for 1, and so on")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="the bundle, of the kind of the firmware")
    add_place_options(parser)
    add("--add-partition", type=numbers.size, metavar="SIZE", help="add a romfs partition to an ESP32's table")
    add("--erase-fs", action="store_true", help="also erase the start of the writable filesystem, so that it is empty")


def add_reading_options(parser: Parser, *, choose: bool) -> None:
    """Add the options of commands that read firmware; with ``choose``, one of its partitions."""
    add_place_options(parser)
    if choose:
        parser.add_argument("--partition", type=int, metavar="N", help="the partition of firmware, from 0 on")


def add_place_options(parser: Parser) -> None:
    """Add the options that say what a firmware file does not say itself."""
    group = parser.add_argument_group("if the firmware does not say it")
    add = group.add_argument
    add("--address", type=numbers.address, action="append", default=[], help="where the partition is; may be repeated")
    add("--size", type=numbers.size, action="append", default=[], help="the size of that partition, such as 128K")
    add("--board", metavar="NAME", help="the board, if the addresses of its partitions are known")
    add(
        "--base-address",
        type=numbers.address,
        metavar="ADDRESS",
        help="the address of the first byte of a plain binary",
    )
    add("--partition-table", type=Path, metavar="FILE", help="the table of an application for the ESP32")
