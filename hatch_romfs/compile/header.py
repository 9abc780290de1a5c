"""The first bytes of a ``.mpy`` file: what a board needs to load it.

The layout is that of ``py/persistentcode.c`` in MicroPython 1.29.
"""

from __future__ import annotations

from typing import NamedTuple

from hatch_romfs.settings.values import ARCHS

MPY_VERSION = 6
"""The version of ``.mpy`` files since MicroPython 1.19, and so of every release with ROMFS."""


class MpyHeader(NamedTuple):
    """The header of a ``.mpy`` file.

    ``version`` must be the board's. ``sub_version`` and ``arch`` matter only for native code; without it ``arch`` is
    None.
    """

    version: int
    sub_version: int
    arch: str | None


def read_header(data: bytes | memoryview) -> MpyHeader | None:
    """Return the header of a ``.mpy`` file's first bytes, or None if it is not one."""
    if len(data) < 4 or data[:1] != b"M":  # noqa: PLR2004 - every header has four bytes
        return None
    arch = data[2] >> 2 & 0xF
    if arch > len(ARCHS):
        return None
    return MpyHeader(data[1], data[2] & 3, ARCHS[arch - 1] if arch else None)
