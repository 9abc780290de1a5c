"""The header of a ``.mpy`` file: what a board needs to load it.

Since MicroPython 1.27 a varuint can follow the first four bytes: the architecture flags, with its most significant
byte first.
"""

from __future__ import annotations

from typing import NamedTuple

from hatch_romfs.settings.values import ARCH_FLAGS, ARCHS
from romfs_manifest.shared.mpy import MPY_VERSION, read_mpy_fields

__all__ = ["HEADER_SIZE", "MPY_VERSION", "MpyHeader", "flag_bits", "flag_names", "read_header"]


HEADER_SIZE = 16
"""Bytes that hold every header: those of flags of 64 bits, padded, too."""
_FIXED = 4
_HAS_FLAGS = 0x40


class MpyHeader(NamedTuple):
    """The header of a ``.mpy`` file.

    ``version`` must be the board's. ``sub_version`` and ``arch`` matter only for native code; without it ``arch`` is
    None. ``flags`` are extensions of the instruction set that the board must have, one bit each, also if everything is
    bytecode; None if the file has no flags. ``small_int_bits`` is the size of the small integers in the code, which
    must not exceed the board's.
    """

    version: int
    sub_version: int
    arch: str | None
    flags: int | None = None
    small_int_bits: int = 31


def read_header(data: bytes | memoryview) -> MpyHeader | None:
    """Return the header of a ``.mpy`` file's first bytes, or None if it is not one."""
    fields = read_mpy_fields(data)
    if fields is None:
        return None
    arch = fields.flags >> 2 & 0xF
    if arch > len(ARCHS):
        return None
    flags = None
    if fields.flags & _HAS_FLAGS:
        flags = _read_flags(data)
        if flags is None:
            return None
    return MpyHeader(fields.version, fields.flags & 3, ARCHS[arch - 1] if arch else None, flags, data[3])


def _read_flags(data: bytes | memoryview) -> int | None:
    """Return the varuint after the first four bytes, or None if it does not end."""
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
