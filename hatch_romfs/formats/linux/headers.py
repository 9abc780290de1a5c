"""The grammar of Linux romfs: the superblock and file headers.

All numbers are big-endian words of 32 bits, and every structure is aligned to 16 bytes. A
file header is four words (the next header's offset, with type and exec bit in its low four bits; ``info``; the
size of the data; a checksum) and the name, terminated by a NUL and padded to 16; the data follows. The superblock
has the same shape. The source is the kernel's ``Documentation/filesystems/romfs.rst`` and ``fs/romfs/internal.h``.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

MAGIC: Final = b"-rom1fs-"
UNIT: Final = 16
"""The alignment of every structure, in bytes."""
BLOCK: Final = 1024
"""The image as a whole is padded to a multiple of this many bytes, for block devices."""
CHECKED: Final = 512
"""Bytes at the start of the image, at most, that the superblock's checksum covers."""
MAX_NAME: Final = 127
"""Bytes of a name, at most: the kernel treats a longer one as an error."""
MAX_SIZE: Final = 0xFFFF_FFFF - BLOCK
MAX_NUMBER: Final = 0xFFFF
"""The largest major or minor number of a device."""

HARD_LINK: Final = 0
"""``info`` is the offset of the header that it means."""
DIRECTORY: Final = 1
"""``info`` is the offset of the first header inside."""
FILE: Final = 2
SYMLINK: Final = 3
"""The data is its target."""
BLOCK_DEVICE: Final = 4
"""``info`` is the major number in the high, the minor in the low 16 bits."""
CHARACTER_DEVICE: Final = 5
SOCKET: Final = 6
FIFO: Final = 7
EXECUTABLE: Final = 8

_WORDS = struct.Struct(">4I")


class Header(NamedTuple):
    """The four words of a file header at ``offset``, and its name."""

    offset: int
    kind: int
    executable: bool
    next: int
    info: int
    size: int
    name: bytes

    @property
    def data(self) -> int:
        """The offset of the data."""
        return self.offset + header_size(self.name)

    @property
    def end(self) -> int:
        """The offset after the data."""
        return self.data + self.size


def padded(size: int, alignment: int = UNIT) -> int:
    """Return ``size``, rounded up to a multiple of ``alignment``."""
    return -(-size // alignment) * alignment


def header_size(name: bytes) -> int:
    """Return the size of a header with this name, in bytes."""
    return UNIT + padded(len(name) + 1)


def checksum(data: bytes | bytearray | memoryview) -> int:
    """Return the sum of the words of ``data``, which is a multiple of four bytes; it is 0 if a checksum is right."""
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 4}I", data)
    return sum(words) & 0xFFFF_FFFF


def encode(header: Header) -> bytes:
    """Return a header's bytes with its checksum."""
    mode = header.kind | (EXECUTABLE if header.executable else 0)
    return _summed(header.next | mode, header.info, header.size, header.name)


def superblock(size: int, volume: bytes) -> bytes:
    """Return the superblock of an image of ``size`` bytes; its checksum is right if nothing follows."""
    first, second = struct.unpack(">2I", MAGIC)
    return _summed(first, second, size, volume)


def _summed(first: int, second: int, third: int, name: bytes) -> bytes:
    tail = name.ljust(header_size(name) - UNIT, b"\0")
    missing = -checksum(_WORDS.pack(first, second, third, 0) + tail) & 0xFFFF_FFFF
    return _WORDS.pack(first, second, third, missing) + tail
