"""The first bytes of a ``.mpy`` file: what a board must be able to do to load it.

Layout as MicroPython's ``py/persistentcode.c`` (1.29) has it. Four bytes; since 1.27 a varuint may follow, the
architecture flags, with its most significant byte first.
"""

from __future__ import annotations

from typing import NamedTuple

from hatch_romfs.settings.kinds import ARCH_FLAGS, ARCHS

MPY_VERSION = 6
"""The version of ``.mpy`` files since MicroPython 1.19, and so of every one that knows ROMFS."""


HEADER_SIZE = 16
"""Bytes that hold every header: those of flags of 64 bits, padded, too."""
_FIXED = 4
_HAS_FLAGS = 0x40


class MpyHeader(NamedTuple):
    """What a ``.mpy`` says of itself.

    ``version`` must be the board's; ``sub_version`` and ``arch`` matter only where there is native code, that is
    where ``arch`` is not None. ``flags`` are extensions of the instruction set that the board must have, one bit
    each, also where all is bytecode; None where the file does not mention any.
    """

    version: int
    sub_version: int
    arch: str | None
    flags: int | None = None


def read_header(data: bytes | memoryview) -> MpyHeader | None:
    """Return the header of a ``.mpy`` file's first bytes, or None where it is no such file."""
    if len(data) < _FIXED or data[:1] != b"M":
        return None
    arch = data[2] >> 2 & 0xF
    if arch > len(ARCHS):
        return None
    flags = None
    if data[2] & _HAS_FLAGS:
        flags = _read_flags(data)
        if flags is None:
            return None
    return MpyHeader(data[1], data[2] & 3, ARCHS[arch - 1] if arch else None, flags)


def _read_flags(data: bytes | memoryview) -> int | None:
    """Return the varuint behind the first four bytes, or None where it does not end."""
    value = 0
    for byte in data[_FIXED:HEADER_SIZE]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the high bit says that more follows
            return value
    return None


def flag_bits(names: str | None) -> int:
    """Return the bits of architecture flags as settings have them, such as ``zba,zcmp``."""
    return sum(1 << ARCH_FLAGS.index(name) for name in set(names.split(",")) if name) if names else 0


def flag_names(bits: int) -> str:
    """Return architecture flags as settings have them; bits without a name as one hexadecimal number, 0 as ``none``."""
    names = [name for number, name in enumerate(ARCH_FLAGS) if bits >> number & 1]
    unknown = bits >> len(ARCH_FLAGS) << len(ARCH_FLAGS)
    return ",".join([*names, *([hex(unknown)] if unknown else [])]) or "none"
