"""MicroPython's ``manifest.py`` files and mip packages: evaluated safely, resolved and locked.

Each name of the public API is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from romfs_manifest.download import fetch
    from romfs_manifest.errors import ManifestError
    from romfs_manifest.lock import Lock, LockedFile, LockedPackage, check_lock
    from romfs_manifest.lockfile import read_lock, write_lock
    from romfs_manifest.resolve import make_lock
    from romfs_manifest.store import user_cache

_HOMES = {
    "Lock": "lock",
    "LockedFile": "lock",
    "LockedPackage": "lock",
    "ManifestError": "errors",
    "check_lock": "lock",
    "fetch": "download",
    "make_lock": "resolve",
    "read_lock": "lockfile",
    "user_cache": "store",
    "write_lock": "lockfile",
}

__all__ = [
    "Lock",
    "LockedFile",
    "LockedPackage",
    "ManifestError",
    "check_lock",
    "fetch",
    "make_lock",
    "read_lock",
    "user_cache",
    "write_lock",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
