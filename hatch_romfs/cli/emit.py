"""What ``romfs-image build --emit`` writes instead of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.builder.jobs import Emit

_OPTIONS = {
    "symbol": "c",
    "section": "c",
    "address": "uf2, hex, or dfu",
    "family": "uf2",
    "firmware": "uf2, hex, or dfu",
}
"""The kinds of files that each option is for."""

# Most builds end in an image and need none of this.
# ruff: noqa: PLC0415


def read_emit(options: argparse.Namespace) -> Emit | None:
    """Return what the options ask to write instead of an image, or None. Raises SettingsError."""
    given = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    for name in given:
        if options.emit not in _OPTIONS[name].replace(",", "").split():
            raise SettingsError(f"--{name} needs --emit {_OPTIONS[name]}")
    if options.emit is None:
        return None
    if options.emit == "c":
        from hatch_romfs.formats.c_source import CArray

        return CArray(**given)
    return _partition_file(options)


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
