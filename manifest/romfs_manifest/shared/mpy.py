"""The first bytes of a ``.mpy`` file.

The layout is that of ``py/persistentcode.c`` in MicroPython 1.29.
"""

from __future__ import annotations

from typing import NamedTuple

MPY_VERSION = 6
"""The version of ``.mpy`` files since MicroPython 1.19, and so of every release with ROMFS."""
_SIZE = 4
"""Bytes of a header: a letter, the version, flags, and the number of bits of small integers."""


class MpyFields(NamedTuple):
    """The version of a ``.mpy`` file, and its byte of flags."""

    version: int
    flags: int


def read_mpy_fields(data: bytes | memoryview) -> MpyFields | None:
    """Return the fields in the first bytes of a ``.mpy`` file, or None if it is not one."""
    if len(data) < _SIZE or data[:1] != b"M":
        return None
    return MpyFields(data[1], data[2])
