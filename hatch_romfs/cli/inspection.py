"""Commands of ``romfs-image`` that look into one file: an image, a dump, a wheel, or firmware."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli import show
from hatch_romfs.cli.command import print_json, print_line, say, tell
from hatch_romfs.cli.source import open_image_file
from hatch_romfs.errors import ImageError
from hatch_romfs.formats import is_image

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.firmware.model import Firmware
    from hatch_romfs.formats.image import Image

# Most files are images, and need no code for firmware; each command needs only its own.
# ruff: noqa: PLC0415


def info(options: argparse.Namespace) -> None:
    """Print what an image or firmware is."""
    firmware = _firmware(options)
    if firmware:
        from hatch_romfs.cli.firmware import info as show_firmware

        show_firmware(firmware, options)
        return
    with open_named(options) as image:
        document = show.info_document(image)
    if options.json:
        print_json(document)
    else:
        show.fields(document)
    if document["content_matches"] is False:
        if options.json:
            sys.exit(ImageError.status)
        raise ImageError(f"{options.image}: the content does not match the SHA-256 in the image", offset=0)


def tree(options: argparse.Namespace) -> None:
    """List the files of an image."""
    with open_named(options) as image:
        if options.json:
            print_json(show.tree_document(image))
        else:
            show.tree(image)


def cat(options: argparse.Namespace) -> None:
    """Write one file to standard output."""
    with open_named(options) as image:
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
    from hatch_romfs.images.extract import extract as extract_to

    firmware = _firmware(options)
    if firmware:
        from hatch_romfs.cli.firmware import extract as extract_image

        extract_image(firmware, options)
        return
    out = options.output or Path(options.image.stem)
    with open_named(options) as image:
        image.check()
        extracted = extract_to(image, out)
    if options.json:
        print_json({"path": str(out), "files": extracted.files, "skipped": list(extracted.skipped)})
        return
    for skipped in extracted.skipped:
        tell(f"skipped {skipped}")
    say(f"{out}: {show.count(extracted.files, 'file')}")


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


def open_named(options: argparse.Namespace) -> Image:
    """Open the image that the options name: a file, a part of a dump, or one inside firmware or a wheel."""
    if firmware := _firmware(options):
        from hatch_romfs.cli.firmware import open_image_in

        return open_image_in(firmware, options.image, options.partition)
    return open_image_file(options.image, options.name, options.offset)


def _firmware(options: argparse.Namespace) -> Firmware | None:
    """Return the firmware that a command is to read, or None if it is to read an image."""
    if options.offset is not None or is_image(options.image):
        return None
    from hatch_romfs.cli.firmware import read

    return read(options)
