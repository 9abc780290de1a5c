"""DfuSe files, as ST's boot loaders take them over USB: targets with elements at addresses, and a suffix with a CRC.

This is written here because no maintained package writes them; dfu-suffix and dfu-util check what is written.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import BoardError, ImageError
from hatch_romfs.firmware.memory import Piece, Range, Segment, join, outside

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"DfuSe"
_PREFIX = struct.Struct("<5sBIB")
_TARGET = struct.Struct("<6sBI255sII")
_ELEMENT = struct.Struct("<II")
_SUFFIX = struct.Struct("<HHHH3sB")
_CRC_SIZE = 4
_SUFFIX_SIZE = _SUFFIX.size + _CRC_SIZE
_ANY = 0xFFFF
"""A device, product, or vendor number that matches every board."""
_DFUSE = 0x011A
_MAX_ELEMENTS = 4096
_VERSION = 1


class Target(NamedTuple):
    """Elements for one memory of the board, the alternate setting ``alternate`` of its USB interface."""

    alternate: int
    name: bytes | None
    elements: tuple[Segment, ...]


class DfuFile(NamedTuple):
    """A DfuSe file; ``device`` is the device, product, and vendor number in its suffix."""

    targets: tuple[Target, ...]
    segments: tuple[Segment, ...]
    device: tuple[int, int, int]
    kind: str = "dfu"
    family: str | None = None
    base: int | None = None

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return the file with other content. Raises BoardError if there are several targets."""
        if len(self.targets) > 1:
            numbers = ", ".join(str(target.alternate) for target in self.targets)
            raise BoardError(
                f"the file has several targets (alternate settings {numbers}), and nothing says which one reaches the"
                " partition",
                hint="Write a file for the partition alone, `romfs-image build --emit dfu`, and flash it separately.",
            )
        target = self.targets[0]
        elements = sorted([*outside(target.elements, cleared), *added])
        return _encode([target._replace(elements=tuple(elements))], self.device)


def parse(data: bytes) -> DfuFile:
    """Read a DfuSe file. Raises ImageError."""
    body, device = _check_suffix(data)
    magic, version, size, count = _unpack(_PREFIX, body, 0, "prefix")
    if magic != MAGIC or version != _VERSION:
        raise ImageError("not a DfuSe file", offset=0)
    if size != len(body):
        raise ImageError(f"the prefix says that the file has {size:,} bytes, not {len(body):,}", offset=6)
    at, targets = _PREFIX.size, []
    pieces: list[Piece] = []
    for _ in range(count):
        target, at = _target(body, at, pieces)
        targets.append(target)
    if at != len(body):
        raise ImageError("data follows the last target", offset=at)
    if not targets:
        raise ImageError("the DfuSe file has no targets", offset=0)
    return DfuFile(tuple(targets), join(pieces, "element"), device)


def encode(segment: Segment) -> bytes:
    """Return a file that contains only ``segment``, for the first memory of any board."""
    return _encode([Target(0, b"ROMFS", (segment,))], (_ANY, _ANY, _ANY))


def _check_suffix(data: bytes) -> tuple[bytes, tuple[int, int, int]]:
    """Return what is before the suffix, and the numbers in it."""
    start = len(data) - _SUFFIX_SIZE
    device, product, vendor, version, magic, size = _unpack(_SUFFIX, data, max(start, 0), "suffix")
    if magic != b"UFD" or size != _SUFFIX_SIZE or version != _DFUSE:
        raise ImageError("the file does not end with the suffix of a DfuSe file", offset=max(start, 0))
    stored = int.from_bytes(data[-_CRC_SIZE:], "little")
    if stored != _crc(data[:-_CRC_SIZE]):
        raise ImageError("the CRC of the file does not match its content", offset=len(data) - _CRC_SIZE)
    return data[:start], (device, product, vendor)


def _target(body: bytes, at: int, pieces: list[Piece]) -> tuple[Target, int]:
    """Return the target at ``at`` and the offset behind it, and add its elements to ``pieces``."""
    magic, alternate, is_named, name, size, count = _unpack(_TARGET, body, at, "target")
    if magic != b"Target":
        raise ImageError("there is no target", offset=at)
    start = at + _TARGET.size
    elements, offset = [], start
    for _ in range(count):
        address, length = _unpack(_ELEMENT, body, offset, "element")
        offset += _ELEMENT.size
        element = Segment(address, body[offset : offset + length])
        if len(element.data) < length or len(pieces) >= _MAX_ELEMENTS:
            raise ImageError(f"element {len(pieces)} is cut short, or there are too many", offset=offset)
        elements.append(element)
        pieces.append(Piece(address, element.data, len(pieces), offset))
        offset += length
    if offset - start != size:
        raise ImageError(f"a target of {offset - start:,} bytes says that it has {size:,}", offset=at)
    return Target(alternate, name.rstrip(b"\0") if is_named else None, tuple(elements)), offset


def _unpack(layout: struct.Struct, data: bytes, at: int, what: str) -> tuple[Any, ...]:
    if at + layout.size > len(data):
        raise ImageError(f"the {what} is cut short", offset=at)
    return layout.unpack_from(data, at)


def _encode(targets: Sequence[Target], device: tuple[int, int, int]) -> bytes:
    encoded = b"".join(map(_encode_target, targets))
    size = _PREFIX.size + len(encoded)
    prefix = _PREFIX.pack(MAGIC, _VERSION, size, len(targets))
    body = prefix + encoded + _SUFFIX.pack(*device, _DFUSE, b"UFD", _SUFFIX_SIZE)
    return body + _crc(body).to_bytes(_CRC_SIZE, "little")


def _encode_target(target: Target) -> bytes:
    elements = b"".join(_ELEMENT.pack(element.address, len(element.data)) + element.data for element in target.elements)
    named = int(target.name is not None)
    name = target.name or b""
    return _TARGET.pack(b"Target", target.alternate, named, name, len(elements), len(target.elements)) + elements


def _crc(data: bytes) -> int:
    """Return the CRC of a DFU suffix: the usual one, without its last step."""
    return zlib.crc32(data) ^ 0xFFFFFFFF
