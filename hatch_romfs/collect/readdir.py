"""The order in which a disk lists a folder, ``.`` and ``..`` among the names: what genromfs's images follow.

Python leaves these two out, and some file systems do not list them first. So the C library is asked, where its
structures are known: on 64-bit Linux. Elsewhere they come first.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NAME_AT = 19
"""Bytes of a ``struct dirent`` of 64-bit Linux before the name."""


def listed(folder: Path) -> list[str]:
    """Return the names in a folder in the disk's order; raises OSError."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:  # noqa: PLR2004 - bytes
        with os.scandir(folder) as found:
            return [".", "..", *(_decoded(os.fsencode(entry.name)) for entry in found)]
    library = ctypes.CDLL(None, use_errno=True)
    library.opendir.restype = library.readdir.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.opendir(os.fsencode(folder)))
    if stream.value is None:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    names = []
    while entry := library.readdir(stream):
        names.append(_decoded(ctypes.string_at(entry + _NAME_AT)))
    library.closedir(stream)
    return names


def _decoded(name: bytes) -> str:
    """Return a name as trees have it, whatever the locale is; one that is not UTF-8 is in no tree."""
    return name.decode(errors="surrogateescape")
