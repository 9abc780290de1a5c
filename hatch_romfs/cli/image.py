"""``romfs-image``: build an image without a front end, and inspect or run one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import (
    Parser,
    add_command,
    add_common_options,
    add_program_options,
    print_json,
    print_line,
    run,
    say,
    show_error,
    tell,
)
from hatch_romfs.cli.emit import add_emit_options, read_array
from hatch_romfs.cli.report_options import add_diff_options, add_map_options
from hatch_romfs.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.layers import Options

# A command imports what it needs when it runs: otherwise --help, and every start, would wait for all of it.
# ruff: noqa: PLC0415

_MAX_DIGITS = 9
"""Digits of a number of bytes, at most."""


_WITH_OFFSET = ("info", "tree", "cat", "extract", "verify")


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
            or_wheel = ", or a wheel that contains one" if name in _WITH_OFFSET else ""
            added.add_argument("image", type=Path, metavar="IMAGE", help=f"an image file{or_wheel}")
        if name in _WITH_OFFSET:
            added.add_argument(
                "--offset", type=_offset, metavar="BYTES", help="where the image begins in a dump, such as 0x1000"
            )
            added.add_argument(
                "--image", dest="name", metavar="NAME", help="which image of a wheel that contains several"
            )
        add_common_options(added)
        return added

    _add_build_options(add("build", build, "build the image of a project, or of any folder", image=False))
    add("info", info, "print what an image is: name, version, hashes, sizes")
    add("tree", tree, "list the files of an image: size, offset, and alignment of each")
    add("cat", cat, "write a file of an image to standard output").add_argument("path", metavar="PATH")
    add("extract", extract, "write the files of an image to a new folder").add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="a new folder; by default named after the image"
    )
    add("verify", verify, "check that an image is valid, and check its content against its own hash").add_argument(
        "--inventory", type=Path, metavar="FILE", help="also check it against the inventory that the build wrote"
    )
    running = add("run", run_code, "mount an image at /rom in a real MicroPython on this machine, and run code from it")
    what = running.add_mutually_exclusive_group()
    what.add_argument("-m", dest="module", metavar="MODULE", help="import this module")
    what.add_argument("-c", dest="code", metavar="CODE", help="run this code; without -m and -c, start a prompt")
    add_map_options(add("map", show_map, "show what fills an image: files, folders, modules, and padding", image=False))
    add_diff_options(add("diff", show_diff, "show what differs between two images", image=False))
    openmv = add("import-openmv", import_openmv, "print a romfs_config.json of OpenMV as [tool.romfs]", image=False)
    openmv.add_argument("file", type=Path, metavar="FILE", help="the file, in the folder of its board")
    add("scan", scan, "list the images inside a dump or another file: offset, size, format, and name")
    add("settings", settings, "print the reference of [tool.romfs], or of one key", image=False).add_argument(
        "key", nargs="?", metavar="KEY", help="a key, such as alignment or mpy.arch"
    )
    return top


def _add_build_options(parser: Parser) -> None:
    parser.description = (
        "Build the image of a project, whose pyproject.toml has a [tool.romfs] table, or of any other folder, whose"
        " whole content goes into the image. Options outrank the table."
    )
    add = parser.add_argument
    add("source", type=Path, nargs="?", default=Path(), metavar="SOURCE", help="a folder; by default the current one")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="IMAGE",
        help="the image file; by default in dist, or beside a plain folder",
    )
    add("--image", metavar="NAME", help="build only this one of several images")
    add("--format", choices=("micropython", "linux"), help="the format of the image")
    add("--mpy", action=argparse.BooleanOptionalAction, help="compile .py files, or keep them as they are")
    add(
        "--align",
        action="append",
        default=[],
        metavar="[PATTERN=]BYTES",
        help="the alignment of file data; may be repeated",
    )
    add("--layout", choices=("compact", "stable"), help="stable adds padding, so that an edit changes few flash blocks")
    add("--volume", metavar="NAME", help="the name of the volume, in Linux romfs")
    add("--no-cache", action="store_true", help="compile every module again")
    add_emit_options(parser)


def build(options: argparse.Namespace) -> None:
    """Build an image."""
    from hatch_romfs.builder import api
    from hatch_romfs.cli import show

    overrides, array, cache = _overrides(options), read_array(options), not options.no_cache
    if options.source.is_file() and (overrides.table or options.image):
        raise SettingsError(f"{options.source} is an image file: options of a build do not apply to it")
    with show.progress(quiet=options.json) as on_progress:
        if options.output is None and options.image is None and array is None:
            results = api.build_all(options.source, overrides=overrides, cache=cache, on_progress=on_progress)
        else:
            name = options.image or ""
            result = api.build(
                options.source,
                options.output,
                overrides=overrides,
                cache=cache,
                emit=array,
                image=name,
                on_progress=on_progress,
            )
            results = {name: result}
    if options.json:
        documents = {name: show.result_document(result) for name, result in results.items()}
        print_json(documents.get("") or {"images": documents})
    else:
        for result in results.values():
            show.result(result)
            if options.verbose:
                show.excluded(result)
            if options.verbose and not options.emit:
                with _open(result.path) as image:
                    show.tree(image)


def _overrides(options: argparse.Namespace) -> Options:
    """Return the keys of the table that options set; their values are checked like those of the table."""
    from hatch_romfs.settings.layers import Options

    table: dict[str, object] = {}
    names = {
        "format": "--format",
        "mpy": "--mpy",
        "layout": "--layout",
        "linux": "--volume",
        "linux.volume": "--volume",
    }
    if options.format is not None:
        table["format"] = options.format
    if options.mpy is not None:
        table["mpy"] = options.mpy
    if options.layout is not None:
        table["layout"] = options.layout
    if options.volume is not None:
        table["linux"] = {"volume": options.volume}
    alignment: dict[str, int] = {}
    for text in options.align:
        pattern, _, size = text.rpartition("=")
        if not (size.isascii() and size.isdecimal() and len(size) <= _MAX_DIGITS):
            raise SettingsError(f"--align: {size!r} is not a number of bytes", hint="--align 4 --align '*.tflite=32'")
        alignment[pattern or "default"] = int(size)
        names[f'alignment."{pattern or "default"}"'] = f"--align {text}"
    if alignment:
        table["alignment"] = alignment
    return Options(table, names)


def info(options: argparse.Namespace) -> None:
    """Print what an image is."""
    from hatch_romfs.cli import show

    with _open_named(options) as image:
        document = show.info_document(image)
    if options.json:
        print_json(document)
    else:
        show.fields(document)
    if document["content_matches"] is False:
        if options.json:
            sys.exit(ImageError.status)
        raise ImageError(f"{options.image}: the content does not match the SHA-256 in the image", offset=0)


def scan(options: argparse.Namespace) -> None:
    """List the images in a file."""
    from hatch_romfs.images.scan import scan as find_images

    found = list(find_images(options.image))
    if options.json:
        print_json({"path": str(options.image), "images": [image._asdict() for image in found]})
        return
    if not found:
        raise ImageError(f"{options.image} contains no valid image", offset=0)
    for image in found:
        named = " ".join(filter(None, (image.name, image.version)))
        print_line(f"{image.offset:#010x} {image.size:>10}  {image.format:<11}  {named}".rstrip())


def tree(options: argparse.Namespace) -> None:
    """List the files of an image."""
    from hatch_romfs.cli import show

    with _open_named(options) as image:
        if options.json:
            print_json(show.tree_document(image))
        else:
            show.tree(image)


def cat(options: argparse.Namespace) -> None:
    """Write one file to standard output."""
    with _open_named(options) as image:
        file = image.file(options.path)
        if options.json:
            import base64

            data = base64.b64encode(file.read()).decode()
            print_json({"path": options.path, "size": file.size, "base64": data})
            return
        for chunk in file.content.chunks():
            sys.stdout.buffer.write(chunk)


def extract(options: argparse.Namespace) -> None:
    """Write all files to a new folder."""
    from hatch_romfs.cli import show
    from hatch_romfs.images.extract import extract as extract_to

    out = options.output or Path(options.image.stem)
    with _open_named(options) as image:
        image.check()
        extracted = extract_to(image, out)
    if options.json:
        print_json({"path": str(out), "files": extracted.files, "skipped": list(extracted.skipped)})
        return
    for skipped in extracted.skipped:
        tell(f"skipped {skipped}")
    say(f"{out}: {show.count(extracted.files, 'file')}")


def verify(options: argparse.Namespace) -> None:
    """Check an image."""
    with _open_named(options) as image:
        image.check()
        has_hash = image.content_sha256 is not None
        size = image.size
        if options.inventory:
            from hatch_romfs.builder.inventory import check

            check(image, options.inventory)
    if options.json:
        checked = {"content_checked": has_hash, "inventory_checked": options.inventory is not None}
        print_json({"path": str(options.image), "sound": True, **checked, "size": size})
    else:
        content = "its content matches its SHA-256" if has_hash else "it contains no SHA-256 to check its content"
        inventory = f"; it matches {options.inventory}" if options.inventory else ""
        say(f"{options.image}: valid, {size:,} bytes; {content}{inventory}")


def run_code(options: argparse.Namespace) -> None:
    """Run code from an image."""
    from hatch_romfs.images.run import run_image

    code = options.code
    if options.module is not None:
        if not all(part.isidentifier() for part in options.module.split(".")):
            raise SettingsError(f"-m: {options.module!r} is not the name of a module")
        code = f"import {options.module}"
    if code is None and (options.json or not sys.stdin.isatty()):
        raise SettingsError("a prompt needs a terminal", hint="Choose what to run with -m MODULE or -c CODE.")
    with _open(options.image) as image:
        image.check()
        size = image.size
        if image.format != "micropython":
            raise SettingsError(f"{options.image} is not a MicroPython image, so nothing can run from it")
    result = run_image(options.image, size, code, capture=options.json)
    if options.json:
        print_json({"status": result.status, "output": result.output})
    elif result.status:
        hint = "'romfs-image tree' lists the files of the image; native code cannot run here."
        show_error(
            f"the code from {options.image} ended with status {result.status}", hint if result.import_failed else None
        )
    if result.status:
        sys.exit(result.status)


def show_map(options: argparse.Namespace) -> None:
    """Show what fills an image."""
    from hatch_romfs.cli.map import run_map

    run_map(options)


def show_diff(options: argparse.Namespace) -> None:
    """Show what differs between two images."""
    from hatch_romfs.cli.diff import run_diff

    run_diff(options)


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


def _open_named(options: argparse.Namespace) -> Image:
    """Open the image that the options name: a file, a part of a dump, or one inside a wheel."""
    from hatch_romfs.cli.source import open_image_file

    return open_image_file(options.image, options.name, options.offset)


def _open(path: Path) -> Image:
    from hatch_romfs.formats import open_image

    return open_image(path)
