"""The first bytes of a ``.mpy`` file: what a board must be able to do to load it.

Layout as MicroPython's ``py/persistentcode.c`` (1.29) has it.
"""

from __future__ import annotations

from typing import NamedTuple

from hatch_romfs.settings.values import ARCHS

MPY_VERSION = 6
"""The version of ``.mpy`` files since MicroPython 1.19, and so of every one that knows ROMFS."""


class MpyHeader(NamedTuple):
    """What a ``.mpy`` says of itself.

    ``version`` must be the board's; ``sub_version`` and ``arch`` matter only where there is native code, that is
    where ``arch`` is not None.
    """

    version: int
    sub_version: int
    arch: str | None


def read_header(data: bytes | memoryview) -> MpyHeader | None:
    """Return the header of a ``.mpy`` file's first bytes, or None where it is no such file."""
    if len(data) < 4 or data[:1] != b"M":  # noqa: PLR2004 - the fourth byte is the last that each has
        return None
    arch = data[2] >> 2 & 0xF
    if arch > len(ARCHS):
        return None
    return MpyHeader(data[1], data[2] & 3, ARCHS[arch - 1] if arch else None)
