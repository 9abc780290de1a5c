"""The header of a ``.mpy`` file: what a board needs to load it."""

from __future__ import annotations

from typing import NamedTuple

from hatch_romfs.settings.values import ARCHS
from romfs_manifest.shared.mpy import MPY_VERSION, read_mpy_fields

__all__ = ["MPY_VERSION", "MpyHeader", "read_header"]


class MpyHeader(NamedTuple):
    """The header of a ``.mpy`` file.

    ``version`` must be the board's. ``sub_version`` and ``arch`` matter only for native code; without it ``arch`` is
    None. ``small_int_bits`` is the size of the small integers in the code, which must not exceed the board's.
    """

    version: int
    sub_version: int
    arch: str | None
    small_int_bits: int = 31


def read_header(data: bytes | memoryview) -> MpyHeader | None:
    """Return the header of a ``.mpy`` file's first bytes, or None if it is not one."""
    fields = read_mpy_fields(data)
    if fields is None:
        return None
    arch = fields.flags >> 2 & 0xF
    if arch > len(ARCHS):
        return None
    return MpyHeader(fields.version, fields.flags & 3, ARCHS[arch - 1] if arch else None, data[3])
