"""``romfs-image``: its commands and their options. What carries out a command is in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.build_options import add_build_options
from hatch_romfs.cli.command import Parser, add_command, add_common_options, add_program_options, run
from hatch_romfs.cli.firmware_options import add_bundle_options, add_reading_options
from hatch_romfs.cli.report_options import add_diff_options, add_map_options, add_page_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

# A command imports what it needs when it runs: otherwise --help, and every start, would wait for all of it.
# ruff: noqa: PLC0415

_WITH_OFFSET = ("info", "tree", "cat", "extract", "verify")
"""Commands that also read an image inside another file: a dump, a wheel, or firmware."""


def main() -> None:
    """Run the command ``romfs-image``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-image`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(arguments)
    options.run(options)


def parser() -> Parser:
    """Return the parser of ``romfs-image``."""
    top = Parser(prog="romfs-image", description="Build ROMFS images for MicroPython boards, inspect them, run them.")
    add_program_options(top)
    # Without prog, argparse would lay out a help text to find it.
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=top.prog)

    def add(name: str, action: Callable[[argparse.Namespace], None], help_: str, *, image: bool = True) -> Parser:
        added = add_command(commands, name, action, help_)
        if image:
            or_wheel = ", or a wheel or firmware that contains one" if name in _WITH_OFFSET else ""
            added.add_argument("image", type=Path, metavar="IMAGE", help=f"an image file{or_wheel}")
        if name in _WITH_OFFSET:
            added.add_argument(
                "--offset", type=_offset, metavar="BYTES", help="where the image begins in a dump, such as 0x1000"
            )
            added.add_argument(
                "--image", dest="name", metavar="NAME", help="which image of a wheel that contains several"
            )
            add_reading_options(added, choose=name != "info")
        add_common_options(added)
        return added

    add_build_options(add("build", build, "build the image of a project, or of any folder", image=False))
    add_bundle_options(add("bundle", bundle, "write one file with firmware and its images", image=False))
    add("info", info, "print what an image or firmware is: name, version, hashes, sizes, partitions")
    add("tree", tree, "list the files of an image: size, offset, and alignment of each")
    add("cat", cat, "write a file of an image to standard output").add_argument("path", metavar="PATH")
    add("extract", extract, "write the files of an image to a folder, or the image in firmware to a file").add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="a new folder, or a file; by default named after the image"
    )
    checking = add("verify", verify, "check that an image is valid, and check its content against its own hash")
    checking.add_argument(
        "--inventory", type=Path, metavar="FILE", help="also check it against the inventory that the build wrote"
    )
    checking.add_argument(
        "--against", type=Path, metavar="IMAGE", help="also check that it is the same as this image, byte for byte"
    )
    running = add("run", run_code, "mount an image at /rom in a real MicroPython on this machine, and run code from it")
    what = running.add_mutually_exclusive_group()
    what.add_argument("-m", dest="module", metavar="MODULE", help="import this module")
    what.add_argument("-c", dest="code", metavar="CODE", help="run this code; without -m and -c, start a prompt")
    add_map_options(add("map", show_map, "show what fills an image: files, folders, modules, and padding", image=False))
    add_diff_options(add("diff", show_diff, "show what differs between two images", image=False))
    add_page_options(add("page", page, "write a web page that flashes images, for users without Python", image=False))
    openmv = add("import-openmv", import_openmv, "print a romfs_config.json of OpenMV as [tool.romfs]", image=False)
    openmv.add_argument("file", type=Path, metavar="FILE", help="the file, in the folder of its board")
    add("scan", scan, "list the images inside a dump or another file: offset, size, format, and name")
    add("settings", settings, "print the reference of [tool.romfs], or of one key", image=False).add_argument(
        "key", nargs="?", metavar="KEY", help="a key, such as alignment or mpy.arch"
    )
    return top


def build(options: argparse.Namespace) -> None:
    """Build images."""
    from hatch_romfs.cli.build import build as build_images

    build_images(options)


def bundle(options: argparse.Namespace) -> None:
    """Write firmware and images to one file."""
    from hatch_romfs.cli.firmware import bundle as write_bundle

    write_bundle(options)


def info(options: argparse.Namespace) -> None:
    """Print what an image or firmware is."""
    from hatch_romfs.cli.inspection import info as show_info

    show_info(options)


def tree(options: argparse.Namespace) -> None:
    """List the files of an image."""
    from hatch_romfs.cli.inspection import tree as show_tree

    show_tree(options)


def cat(options: argparse.Namespace) -> None:
    """Write one file of an image to standard output."""
    from hatch_romfs.cli.inspection import cat as write_file

    write_file(options)


def extract(options: argparse.Namespace) -> None:
    """Write all files of an image to a new folder."""
    from hatch_romfs.cli.inspection import extract as write_files

    write_files(options)


def verify(options: argparse.Namespace) -> None:
    """Check an image."""
    from hatch_romfs.cli.verify import verify as check_image

    check_image(options)


def scan(options: argparse.Namespace) -> None:
    """List the images in a file."""
    from hatch_romfs.cli.inspection import scan as list_images

    list_images(options)


def run_code(options: argparse.Namespace) -> None:
    """Run code from an image."""
    from hatch_romfs.cli.run import run_code as run_from_image

    run_from_image(options)


def show_map(options: argparse.Namespace) -> None:
    """Show what fills an image."""
    from hatch_romfs.cli.map import run_map

    run_map(options)


def show_diff(options: argparse.Namespace) -> None:
    """Show what differs between two images."""
    from hatch_romfs.cli.diff import run_diff

    run_diff(options)


def page(options: argparse.Namespace) -> None:
    """Write a web page that flashes images."""
    from hatch_romfs.cli.page import run_page

    run_page(options)


def import_openmv(options: argparse.Namespace) -> None:
    """Print the table that an OpenMV configuration becomes."""
    from hatch_romfs.cli.settings import import_openmv as show_table

    show_table(options)


def settings(options: argparse.Namespace) -> None:
    """Print the reference of the settings."""
    from hatch_romfs.cli.settings import settings as show_settings

    show_settings(options)


def _offset(text: str) -> int:
    """Return a number of bytes, decimal or hexadecimal. Raises ValueError."""
    number = int(text, 0)
    if number < 0:
        raise ValueError(text)
    return number
