"""The hashes that boards have, and how fast the slowest board computes them."""

from __future__ import annotations

import binascii
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.probe import Board

SLOWEST: Final = {"sha256": 50_000, "crc32": 100_000, "bytes": 2_000}
"""Bytes per second that the slowest board hashes; with "bytes" they come back over the line."""


def algorithm(board: Board) -> str:
    """Return the best hash that the board has; ``bytes`` for none."""
    return "sha256" if board.sha256 else "crc32" if board.crc32 else "bytes"


def fast_algorithm(board: Board) -> str:
    """Return the fastest hash, good enough to decide what to write: a SHA-256 proves the result."""
    return "crc32" if board.crc32 else algorithm(board)


HASHES: Final[dict[str, Callable[[bytes | memoryview], str]]] = {
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "crc32": lambda data: f"{binascii.crc32(data):08x}",
    "bytes": lambda data: bytes(data).hex(),
}
