"""``romfs-image verify``: an image against its own hash, its inventory, and another image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.builder.inventory import check as check_inventory
from hatch_romfs.cli.command import print_json, say
from hatch_romfs.cli.inspection import open_named
from hatch_romfs.errors import VerifyError
from hatch_romfs.formats import open_image

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from hatch_romfs.formats.image import Image


def verify(options: argparse.Namespace) -> None:
    """Check an image, and print what was checked. Raises ImageError and VerifyError."""
    with open_named(options) as image:
        _verify(image, options)


def _verify(image: Image, options: argparse.Namespace) -> None:
    image.check()
    if options.inventory:
        check_inventory(image, options.inventory)
    if options.against:
        _check_same(image, options.against)
    has_hash = image.content_sha256 is not None
    if options.json:
        document = {
            "path": str(options.image),
            "sound": True,
            "content_checked": has_hash,
            "inventory_checked": options.inventory is not None,
            "against_checked": options.against is not None,
            "size": image.size,
        }
        print_json(document)
    else:
        content = "its content matches its SHA-256" if has_hash else "it contains no SHA-256 to check its content"
        inventory = f"; it matches {options.inventory}" if options.inventory else ""
        same = f"; it is the same as {options.against}" if options.against else ""
        say(f"{options.image}: valid, {image.size:,} bytes; {content}{inventory}{same}")


def _check_same(image: Image, path: Path) -> None:
    """Check that an image has the bytes of an image file. Raises VerifyError."""
    with open_image(path) as other:
        if (image.size, image.sha256()) != (other.size, other.sha256()):
            raise VerifyError(
                f"{image.origin} is not the same as {path}: {image.size:,} bytes, sha256 {image.sha256():.16}…, instead"
                f" of {other.size:,} bytes, sha256 {other.sha256():.16}…"
            )
