"""``__version__``: whether a module gets the version of its package, and the line that sets it.

MicroPython's own tools append the line to every module of a package that has a version, unless the text of the module
contains ``__version__ =`` somewhere. The same rule holds here, so that a module has the same bytes as in firmware and
in the package index.
"""

from __future__ import annotations

import re

_SET = b"__version__ ="


def has_version(data: bytes) -> bool:
    """Return whether the text of a module contains an assignment of ``__version__``."""
    return _SET in data


def add_version(data: bytes, version: str) -> bytes:
    """Return a module with a line at its end that sets its version, with the line endings of the module."""
    end = re.search(rb"\r\n|\n|\r", data)
    newline = end[0] if end else b"\n"
    return b"".join((data, newline, newline, f"__version__ = {version!r}".encode(), newline))
