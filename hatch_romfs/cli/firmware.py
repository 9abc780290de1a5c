"""Firmware files in ``romfs-image``: bundles, and the images in them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.cli import show
from hatch_romfs.cli.command import print_json, print_line, say, warn
from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.firmware.content import check_partitions, image_bytes, open_partition, readable_partitions
from hatch_romfs.firmware.describe import describe
from hatch_romfs.firmware.files import NO_HINTS, Hints, is_firmware, read_firmware

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.firmware.model import Firmware
    from hatch_romfs.formats.micropython.image import RomImage

_MAX_RANGES = 8
"""The number of a firmware's ranges that are listed, at most."""


def bundle(options: argparse.Namespace) -> None:
    """Write a bundle."""
    from hatch_romfs.builder.bundle import bundle as write  # noqa: PLC0415 - only this command builds

    written = write(
        options.firmware,
        options.images,
        options.output,
        partitions=_pairs(options),
        board=options.board,
        base_address=options.base_address,
        partition_table=options.partition_table,
        add_partition=options.add_partition,
        erase_fs=options.erase_fs,
    )
    images = [
        {"path": str(options.images[number]), "partition": number, "address": address}
        for number, address in written.addresses.items()
    ]
    if options.json:
        print_json(show.bundle_document(written) | {"images": images})
        return
    for warning in written.warnings:
        warn(warning)
    show.show_bundle(written)
    for image in images:
        say(f"  {image['path']} at {image['address']:#x}")


def hints(options: argparse.Namespace) -> Hints:
    """Return what the options say about a firmware file. Raises SettingsError."""
    from hatch_romfs.builder.bundle import stated_partitions  # noqa: PLC0415 - few files need it

    return Hints(stated_partitions(_pairs(options), options.board), options.base_address, options.partition_table)


def _pairs(options: argparse.Namespace) -> list[tuple[int, int]]:
    if len(options.address) != len(options.size):
        raise SettingsError("each --address needs the --size of its partition, and the other way round")
    return list(zip(options.address, options.size, strict=True))


def read(options: argparse.Namespace) -> Firmware | None:
    """Return the firmware in the file that a command is to read, or None if it is not firmware. Raises RomfsError."""
    return read_path(options.image, hints(options))


def read_path(path: Path, found: Hints = NO_HINTS) -> Firmware | None:
    """Return the firmware in a file, or None if it is not firmware. Raises RomfsError."""
    return read_firmware(path, found) if is_firmware(path, found) else None


def open_image_in(firmware: Firmware, path: Path, number: int | None) -> RomImage:
    """Open the image in a partition of the firmware from ``path``; None means the only one that has an image."""
    partition = readable_partitions(firmware)[choose_partition(firmware, path, number)]
    image = open_partition(firmware, partition)
    image.origin = f"{path}, partition {partition.name}"
    return image


def choose_partition(firmware: Firmware, path: Path, number: int | None) -> int:
    """Return the number of a partition: the one that the user names, or the only one that has an image.

    Raises SettingsError if there is none, or several.
    """
    partitions, segments = readable_partitions(firmware), firmware.file.segments
    if number is not None:
        if not 0 <= number < len(partitions):
            raise SettingsError(f"{path} has no ROMFS partition {number}; 'romfs-image info' lists its partitions")
        return number
    if not partitions:
        raise SettingsError(
            f"{path} contains no image at a known place", hint="Say where it is, with --address and --size."
        )
    used = [index for index, partition in enumerate(partitions) if image_bytes(segments, partition)]
    if len(used) > 1:
        listed = ", ".join(f"{partitions[index].address:#x}" for index in used)
        raise SettingsError(f"{path} has images at {listed}", hint="Choose a partition with --partition.")
    return (used or [0])[0]


def info(firmware: Firmware, options: argparse.Namespace) -> None:
    """Print what firmware is."""
    document = describe(firmware)
    if options.json:
        print_json(document)
    else:
        _show(document)
    try:
        check_partitions(firmware)
    except ImageError:
        if options.json:
            sys.exit(ImageError.status)
        raise


def _show(document: dict[str, Any]) -> None:
    print_line(f"kind:        {document['kind']}")
    if document["family"] not in (None, document["kind"]):
        print_line(f"family:      {document['family']}")
    for place in document["ranges"][:_MAX_RANGES]:
        print_line(f"content:     {_place(place)}")
    if len(document["ranges"]) > _MAX_RANGES:
        print_line(f"             and {len(document['ranges']) - _MAX_RANGES:,} more ranges")
    for number, partition in enumerate(document["partitions"]):
        print_line(f"partition {number}: {_place(partition)}")
        print_line(f"  name:      {partition['name']}, from: {partition['source']}")
        _show_content(partition["content"], partition["size"])
    if not document["partitions"]:
        print_line("partitions:  none known")
    if document["filesystem"]:
        print_line(f"filesystem:  {_place(document['filesystem'])}")
    if document["supports_romfs"] is False:
        print_line("ROMFS:       not supported: this MicroPython was built without VfsRom")


def _place(place: dict[str, int]) -> str:
    return f"{place['address']:#010x}-{place['address'] + place['size']:#010x}  {place['size']:,} bytes"


def _show_content(content: dict[str, Any] | None, size: int) -> None:
    if content is None:
        print_line("  image:     none, the partition is empty")
    elif "problem" in content:
        print_line(f"  image:     {content['problem']}")
    else:
        named = " ".join(filter(None, (content["name"], content["version"])))
        print_line(
            f"  image:     {f'{named}, ' if named else ''}{content['size']:,} bytes, {content['size'] / size:.1%}"
        )
        print_line(f"  sha256:    {content['sha256']}")


def extract(firmware: Firmware, options: argparse.Namespace) -> None:
    """Write the image in firmware to a file."""
    from hatch_romfs.builder.output import check_replaceable, write_output  # noqa: PLC0415 - only this command writes
    from hatch_romfs.formats import MAGICS  # noqa: PLC0415
    from hatch_romfs.formats.image import ImageContent  # noqa: PLC0415

    out = options.output or Path(f"{options.image.stem}.romfs")
    with open_image_in(firmware, options.image, options.partition) as image:
        image.check()
        check_replaceable(out, "ROMFS image", *MAGICS.values())
        write_output(out, ImageContent(image.view, 0, image.size).chunks())
        size, sha256 = image.size, image.sha256()
    if options.json:
        print_json({"path": str(out), "size": size, "sha256": sha256})
    else:
        say(f"{out}  {size:,} bytes, sha256 {sha256}")
