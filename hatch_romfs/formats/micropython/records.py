"""The grammar of MicroPython's ROMFS: varuints and records.

A varuint is big-endian base 128, the high bit set on every byte but the last; leading ``0x80`` bytes are
ignored. A record is a varuint kind, a varuint payload length and the payload. An image is one
record of kind ``IMAGE``; header and payload together should be an even number of bytes, and are in what is written
here, but no board checks this. The source is the driver, ``extmod/vfs_rom.c`` of MicroPython 1.29.
"""

from __future__ import annotations

PADDING = 1
"""Padding, or a comment: any payload, which readers skip."""
VERBATIM = 2
"""Data."""
POINTER = 3
"""The place of data: varuint size, varuint offset from the first byte of the image's payload."""
DIRECTORY = 4
"""Varuint length of the name, the name, nested records."""
FILE = 5
"""Varuint length of the name, the name, one record VERBATIM or POINTER, other records around it."""

MAGIC = b"\xd2\xcd\x31"
"""The kind of an image's record, 0x14a6b1, encoded."""


MAX_NUMBER = 0xFFFF_FFFF
"""Boards count in 32 bits; a larger number wraps around there."""


def varuint_size(value: int) -> int:
    """Return how many bytes ``value`` takes when it is not padded."""
    return max(1, (value.bit_length() + 6) // 7)


def varuint(value: int, width: int = 1) -> bytes:
    """Encode ``value`` in at least ``width`` bytes."""
    size = max(varuint_size(value), width)
    return bytes(((value >> 7 * place) & 0x7F) | (0x80 if place else 0) for place in range(size - 1, -1, -1))


def padding(size: int) -> bytes:
    """Return an empty record of ``size`` bytes, at least 2."""
    width = 1
    while varuint_size(size - 1 - width) > width:
        width += 1
    payload = size - 1 - width
    return bytes([PADDING]) + varuint(payload, width) + bytes(payload)
