"""Numbers on the command line: addresses, and sizes in the forms of the settings."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

_UNITS = {"": 1, "B": 1, "K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20}
_MAX = 0xFFFF_FFFF


def address(text: str) -> int:
    """Return an address, decimal or hexadecimal. Raises ArgumentTypeError."""
    return _check(int(text, 0) if re.fullmatch("0[xX][0-9a-fA-F]+|[0-9]+", text) else -1, text, "0x10100000")


def size(text: str) -> int:
    """Return a number of bytes, such as ``128 KiB``, ``128K``, ``0x20000``, or ``131072``. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,10}) ?(B|K|KiB|M|MiB)?", text)
    if match:
        return _check(int(match[1]) * _UNITS[match[2] or ""], text, "128 KiB")
    return _check(int(text, 16) if re.fullmatch("0[xX][0-9a-fA-F]+", text) else -1, text, "128 KiB")


def _check(number: int, text: str, example: str) -> int:
    if not 0 <= number <= _MAX:
        raise ArgumentTypeError(f"must be a number of 32 bits such as {example}, not {text!r:.60}")
    return number
