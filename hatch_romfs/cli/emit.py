"""The options of ``romfs-image build --emit``: what is written instead of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.cli import numbers
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.builder.jobs import Emit

_ARRAY: dict[str, Any] = {"symbol": None, "section": None, "const": True, "header": False}
"""The options of an array in C, with their defaults."""
_PLACE: dict[str, Any] = {"address": None, "family": None, "firmware": None}
"""Those of a file for a partition."""

# Most builds end in an image and need none of this.
# ruff: noqa: PLC0415


def add_emit_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--emit``, and what describes the array or the partition."""
    add = parser.add_argument
    add(
        "--emit",
        choices=("c", "uf2", "hex", "dfu"),
        help="write the image as an array in C, or as a file for its partition; SOURCE can then also be an image file",
    )
    add("--symbol", metavar="NAME", help="the name of the array in C; by default romfs_image")
    add("--section", metavar="NAME", help="the linker section of the array")
    add("--no-const", dest="const", action="store_false", help="an array that is not const, such as for RAM")
    add("--header", action="store_true", help="also write a header that declares the array and its length")
    add("--address", type=numbers.address, help="where the partition is, for --emit uf2, hex, or dfu")
    add("--family", metavar="NAME", help="the family of the chip, for --emit uf2")
    add("--firmware", type=Path, metavar="FILE", help="firmware that says where the partition is, and the family")


def read_emit(options: argparse.Namespace) -> Emit | None:
    """Return what the options ask to write instead of an image, or None. Raises SettingsError."""
    array, place = _given(options, _ARRAY), _given(options, _PLACE)
    if options.emit == "c" and not place:
        from hatch_romfs.formats.c_source import CArray

        return CArray(**array)
    if array:
        name = next(iter(array))
        raise SettingsError(f"--{'no-const' if name == 'const' else name} needs --emit c")
    if options.emit in (None, "c") and place:
        raise SettingsError(f"--{next(iter(place))} needs --emit uf2, hex, or dfu")
    if options.emit is None:
        return None
    if options.emit != "uf2" and "family" in place:
        raise SettingsError("--family needs --emit uf2")
    return _partition_file(options)


def _given(options: argparse.Namespace, defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, default in defaults.items() if (value := getattr(options, name)) != default}


def _partition_file(options: argparse.Namespace) -> Emit:
    """Return the file for a partition, whose place is that of an option, or of the board's firmware."""
    from hatch_romfs.firmware.partition_file import PartitionFile
    from hatch_romfs.firmware.uf2 import Uf2File, family_number

    family = None if options.family is None else family_number(options.family)
    if options.firmware is None:
        return PartitionFile(options.emit, options.address, family=family)
    from hatch_romfs.firmware.bundle import missing_partition
    from hatch_romfs.firmware.files import read_firmware

    firmware = read_firmware(options.firmware)
    if not firmware.partitions:
        raise missing_partition(firmware.file)
    place = firmware.partitions[0]
    own_family = firmware.file.family_id if isinstance(firmware.file, Uf2File) else None
    for name, stated, own in (("address", options.address, place.address), ("family", family, own_family)):
        if stated is not None and own is not None and stated != own:
            raise SettingsError(f"--{name} says {stated:#x}, but {options.firmware} says {own:#x}")
    return PartitionFile(options.emit, place.address, place.size, family or own_family)
