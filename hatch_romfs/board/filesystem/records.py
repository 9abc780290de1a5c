"""Changes of a board's filesystem as bytes, for ``program`` in ``agent_put.py``."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Final, NamedTuple

from hatch_romfs.board.frame import check_sum
from hatch_romfs.paths import encode_name

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECK: Final = 5
"""Bytes before the first record: the kind of the check sum, and the check sum."""
HEAD: Final = 11
"""Bytes of a record before its path."""


class Record(NamedTuple):
    """A change: ``kind`` is a letter, and ``data`` goes into a file at ``offset``.

    ``w`` writes part of a file under its temporary name, and ``l`` the last part, after which the file gets its name.
    ``s`` writes part of a file under its own name.
    ``m`` makes a folder, ``d`` removes one, ``r`` removes a file. Each can be done again without harm.
    """

    kind: str
    path: str
    offset: int = 0
    data: bytes = b""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return HEAD + len(encode_name(self.path)) + len(self.data)


def pack(records: Iterable[Record], *, crc32: bool) -> bytes:
    """Return records as bytes that begin with the kind of their check sum, CRC-32 or our own, and the check sum."""
    packed = b"".join(map(_pack, records))
    check = binascii.crc32(packed) if crc32 else check_sum(packed)
    return bytes([crc32]) + check.to_bytes(4, "big") + packed


def _pack(record: Record) -> bytes:
    path = encode_name(record.path)
    numbers = (len(path).to_bytes(2, "big"), record.offset.to_bytes(4, "big"), len(record.data).to_bytes(4, "big"))
    return b"".join((record.kind.encode(), *numbers, path, record.data))
