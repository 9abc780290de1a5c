"""What is known about a firmware file: its kind, its content, its partitions, and how to change its content."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from hatch_romfs.firmware.memory import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.firmware.memory import Segment

SECTOR = 4096
"""Bytes that the NOR flash of these chips erases at once."""


class Partition(NamedTuple):
    """A ROMFS partition; ``source`` says where its address is from."""

    name: str
    address: int
    size: int
    source: str

    @property
    def range(self) -> Range:
        """Where the partition is."""
        return Range(self.address, self.size)


class FirmwareFile(Protocol):
    """A file of some kind, as its reader returns it."""

    @property
    def kind(self) -> str:
        """The kind of the file: uf2, esp32, hex, srec, dfu, or bin."""
        ...

    @property
    def family(self) -> str | None:
        """The chip or the family of chips that it is for, as far as the file says."""
        ...

    @property
    def base(self) -> int | None:
        """The address of the first byte of the file, or None if the file itself says where its content belongs."""
        ...

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its content."""
        ...

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return a file with the content ``added``, and with nothing else in the ranges ``cleared``.

        Raises BoardError if a file of this kind cannot contain that.
        """
        ...


class Firmware(NamedTuple):
    """A firmware file, its ROMFS partitions by number, and its writable filesystem, as far as both are known."""

    file: FirmwareFile
    partitions: tuple[Partition, ...] = ()
    filesystem: Range | None = None
