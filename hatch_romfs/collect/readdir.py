"""The order in which a disk lists a folder, with ``.`` and ``..``: that of genromfs's images.

Python omits these two, and some file systems do not list them first. So this calls the C library where its structures
are known, on 64-bit Linux. Elsewhere they come first.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from hatch_romfs.paths import decode_name

if TYPE_CHECKING:
    from pathlib import Path

_NAME_AT = 19
"""The offset of the name in a ``struct dirent`` of 64-bit Linux, in bytes."""


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder in the order of the disk. Raises OSError."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:  # noqa: PLR2004 - bytes
        with os.scandir(folder) as found:
            return [".", "..", *(decode_name(os.fsencode(entry.name)) for entry in found)]
    library = ctypes.CDLL(None, use_errno=True)
    library.opendir.restype = library.readdir.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.opendir(os.fsencode(folder)))
    if stream.value is None:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    names = []
    while entry := library.readdir(stream):
        names.append(decode_name(ctypes.string_at(entry + _NAME_AT)))
    library.closedir(stream)
    return names
