"""A file for one partition: an image alone, to drag onto a drive or to give to a programmer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BoardError, SettingsError
from hatch_romfs.firmware import dfu, uf2
from hatch_romfs.firmware.memory import MAX_ADDRESS, Segment
from hatch_romfs.firmware.model import SECTOR
from hatch_romfs.firmware.records import RecordFile, encode

if TYPE_CHECKING:
    from pathlib import Path

STARTS = {"uf2": uf2.MAGIC, "hex": b":", "dfu": dfu.MAGIC}
"""The first bytes of each kind of file."""


class PartitionFile(NamedTuple):
    """A kind of file, uf2, hex, or dfu, and where the partition is.

    ``size`` is in bytes, None if not known. ``family`` is the number of a UF2 family; only UF2 files have one.
    """

    kind: str
    address: int | None = None
    size: int | None = None
    family: int | None = None

    def header_path(self, _file: Path) -> None:
        """Return None: only C source has a header beside it."""

    def check(self) -> None:
        """Raise SettingsError for a UF2 file without a family."""
        if self.kind == "uf2" and self.family is None:
            raise SettingsError(
                "a UF2 file needs the family of the chip",
                hint=f"--family with one of {', '.join(uf2.FAMILIES)}; or --firmware with the board's UF2 file.",
            )

    def check_place(self) -> int:
        """Return the address of the partition. Raises SettingsError if it is not known, or not possible."""
        if self.address is None:
            raise SettingsError(
                "the address of the partition is not known",
                hint="Say it with --address, or name the board's firmware with --firmware; `board` sets it for some.",
            )
        if self.kind == "uf2" and self.address % SECTOR:
            raise SettingsError(f"--address: {self.address:#x} is not the start of a sector of {SECTOR:,} bytes")
        return self.address

    def encode(self, image: bytes) -> bytes:
        """Return the bytes of the file. Raises SettingsError, and BoardError if the image is too large."""
        address = self.check_place()
        limit = min(self.size or MAX_ADDRESS, MAX_ADDRESS - address)
        if len(image) > limit:
            raise BoardError(
                f"the image is {len(image):,} bytes, {len(image) - limit:,} more than the partition at {address:#x} has"
            )
        segment = Segment(address, image)
        if self.kind == "uf2":
            return uf2.encode(segment, self.family or 0)
        if self.kind == "hex":
            return encode(RecordFile("hex", (segment,)))
        return dfu.encode(segment)
