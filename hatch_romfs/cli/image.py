"""``romfs-image``: build an image without a front end, and look into one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import Parser, Version, add_common_options, print_json, printable, run, say
from hatch_romfs.errors import BuildError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.formats.c_source import CArray
    from hatch_romfs.formats.image import Image

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415


def main() -> None:
    """Run the command ``romfs-image``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-image`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(arguments)
    options.run(options)


def parser() -> Parser:
    """Return the parser of ``romfs-image``."""
    top = Parser(prog="romfs-image", description="Build ROMFS images for MicroPython boards, and look into them.")
    top.add_argument("--version", action=Version, nargs=0, help="print the version and end")
    # With prog given argparse need not lay out a help text to find it.
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=top.prog)

    def add(name: str, run_it: Callable[[argparse.Namespace], None], help_: str, *, image: bool = True) -> Parser:
        added: Parser = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        added.set_defaults(run=run_it)
        if image:
            added.add_argument("image", type=Path, metavar="IMAGE", help="an image file")
        add_common_options(added)
        return added

    _add_build_options(add("build", build, "build the image of a project, or of any folder", image=False))
    add("info", info, "say what an image is: name, version, hashes, sizes")
    add("tree", tree, "list what an image holds: size, offset and alignment of each file")
    add("cat", cat, "write a file of an image to standard output").add_argument("path", metavar="PATH")
    add("extract", extract, "write the files of an image into a new folder").add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="a new folder; by default named as the image is"
    )
    held = add("verify", verify, "read an image strictly, and hold its content against the hash that it carries")
    held.add_argument("--inventory", type=Path, metavar="FILE", help="hold it against what a build has said of it too")
    trial = add("run", run_, "mount an image at /rom in a real MicroPython on this machine, and run something from it")
    what = trial.add_mutually_exclusive_group()
    what.add_argument("-m", dest="module", metavar="MODULE", help="import this module")
    what.add_argument("-c", dest="code", metavar="CODE", help="run this code; without -m and -c there is a prompt")
    return top


def _add_build_options(parser: Parser) -> None:
    parser.description = (
        "Build the image of a project, whose pyproject.toml has a [tool.romfs] table, or of any other folder, whose"
        " whole content goes into the image. Options outrank the table."
    )
    add = parser.add_argument
    add("source", type=Path, nargs="?", default=Path(), metavar="SOURCE", help="a folder; by default this one")
    add("-o", "--output", type=Path, metavar="IMAGE", help="by default in dist, or beside a plain folder")
    add("--image", metavar="NAME", help="of several images the one to build; by default all are")
    add("--format", choices=("micropython", "linux"), help="the image's format")
    add("--mpy", action=argparse.BooleanOptionalAction, help="compile .py files, or keep them as they are")
    add(
        "--align",
        action="append",
        default=[],
        metavar="[PATTERN=]BYTES",
        help="where file data begins; may be repeated",
    )
    add("--volume", metavar="NAME", help="the volume's name, in Linux's romfs")
    add("--no-cache", action="store_true", help="compile every module again")
    add("--emit", choices=("c",), help="write the image as an array in C; SOURCE may then be an image file")
    add("--symbol", metavar="NAME", help="the array's name in C; by default romfs_image")
    add("--section", metavar="NAME", help="the linker section that the array goes into")


def build(options: argparse.Namespace) -> None:
    """Build an image."""
    from hatch_romfs.builder import api
    from hatch_romfs.cli import show

    overrides, array, cache = _overrides(options), _array(options), not options.no_cache
    _check_emitted(options, overrides)
    with show.progress(quiet=options.quiet or options.json) as on_progress:
        if options.output is None and options.image is None and array is None:
            made = api.build_all(options.source, overrides=overrides, cache=cache, on_progress=on_progress)
        else:
            name = options.image or ""
            built = api.build(
                options.source,
                options.output,
                overrides=overrides,
                cache=cache,
                emit=array,
                image=name,
                on_progress=on_progress,
            )
            made = {name: built}
    if options.json:
        documents = {name: show.result_document(built) for name, built in made.items()}
        print_json(documents.get("") or {"images": documents})
    elif not options.quiet:
        for built in made.values():
            show.result(built)
            if options.verbose and not options.emit:
                with _opened(built.path) as image:
                    show.tree(image)


def _check_emitted(options: argparse.Namespace, overrides: dict[str, object]) -> None:
    """Refuse options of a build where an image that is there is only written as C source."""
    if options.source.is_file() and (overrides or options.image):
        raise SettingsError(f"{options.source} is an image already: what is built into it cannot be changed any more")


def _array(options: argparse.Namespace) -> CArray | None:
    """Return the array in C that the options ask for, if any."""
    named = {name: value for name in ("symbol", "section") if (value := getattr(options, name)) is not None}
    if options.emit:
        from hatch_romfs.formats.c_source import CArray

        return CArray(**named)
    if named:
        raise SettingsError(f"--{next(iter(named))} is for --emit c")
    return None


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    """Return the keys of the table that options stand for; their values are checked as the table's are."""
    table: dict[str, object] = {}
    if options.format is not None:
        table["format"] = options.format
    if options.mpy is not None:
        table["mpy"] = options.mpy
    if options.volume is not None:
        table["linux"] = {"volume": options.volume}
    if options.align:
        boundaries = [entry.rpartition("=") for entry in options.align]
        wrong = [size for _, _, size in boundaries if not (size.isascii() and size.isdecimal() and len(size) < 10)]  # noqa: PLR2004
        if wrong:
            raise SettingsError(
                f"--align: {wrong[0]!r} is not a number of bytes", hint="--align 4 --align '*.tflite=32'"
            )
        asked = {pattern or "default": int(size) for pattern, _, size in boundaries}
        table["alignment"] = asked
    return table


def info(options: argparse.Namespace) -> None:
    """Say what an image is."""
    from hatch_romfs.cli import show

    with _opened(options.image) as image:
        document = show.info_document(image)
    if options.json:
        print_json(document)
    elif not options.quiet:
        show.fields(document)


def tree(options: argparse.Namespace) -> None:
    """List what an image holds."""
    from hatch_romfs.cli import show

    with _opened(options.image) as image:
        if options.json:
            print_json(show.tree_document(image))
        elif not options.quiet:
            show.tree(image)


def cat(options: argparse.Namespace) -> None:
    """Write one file to standard output."""
    with _opened(options.image) as image:
        file = image.file(options.path)
        if options.json:
            import base64

            data = base64.b64encode(file.read()).decode()
            print_json({"path": options.path, "size": file.size, "base64": data})
            return
        for chunk in file.content.chunks():
            sys.stdout.buffer.write(chunk)


def extract(options: argparse.Namespace) -> None:
    """Write all files into a new folder."""
    from hatch_romfs.cli import show
    from hatch_romfs.images.extract import extract as extract_to

    out = options.output or Path(options.image.stem)
    with _opened(options.image) as image:
        image.check()
        extracted = extract_to(image, out)
    if options.json:
        print_json({"path": str(out), "files": extracted.files, "skipped": list(extracted.skipped)})
        return
    for skipped in extracted.skipped:
        sys.stderr.write(f"skipped {printable(skipped)}\n")
    if not options.quiet:
        say(f"{out}: {show.count(extracted.files, 'file')}")


def verify(options: argparse.Namespace) -> None:
    """Say whether an image is sound."""
    with _opened(options.image) as image:
        image.check()
        recorded = image.content_sha256 is not None
        size = image.size
        if options.inventory:
            from hatch_romfs.builder.inventory import check

            check(image, options.inventory)
    checked = {"content_checked": recorded, "inventory_checked": options.inventory is not None}
    if options.json:
        print_json({"path": str(options.image), "sound": True, **checked, "size": size})
    elif not options.quiet:
        matches = "its content matches the SHA-256 it carries" if recorded else "it carries no SHA-256 of its content"
        listed = f"; all is as {options.inventory} says" if options.inventory else ""
        say(f"{options.image}: sound, {size:,} bytes; {matches}{listed}")


def run_(options: argparse.Namespace) -> None:
    """Run something from an image."""
    from hatch_romfs.images.run import run_image

    code = options.code
    if options.module is not None:
        if not all(part.isidentifier() for part in options.module.split(".")):
            raise SettingsError(f"-m: {options.module!r} is not the name of a module")
        code = f"import {options.module}"
    if code is None and (options.json or not sys.stdin.isatty()):
        raise SettingsError("there is no terminal for a prompt", hint="Say what to run: -m MODULE or -c CODE.")
    with _opened(options.image) as image:
        image.check()
        size = image.size
        if image.format != "micropython":
            raise SettingsError(f"{options.image} is no MicroPython image: nothing can be run from it")
    status, output = run_image(options.image, size, code, capture=options.json)
    if options.json:
        print_json({"status": status, "output": output})
        sys.exit(BuildError.status if status else 0)
    if status:
        raise BuildError(
            f"what ran from {options.image} ended with status {status}",
            hint="Where an import failed: 'romfs-image tree' shows what there is; native code cannot run here.",
        )


def _opened(path: Path) -> Image:
    from hatch_romfs.formats import open_image

    return open_image(path)
