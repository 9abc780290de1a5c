"""MicroPython's ``manifest.py`` files and mip packages: evaluated safely, resolved and locked.

This is the public API; each name is imported when it is first used, and every failure is a ``ManifestError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from romfs_manifest.download import fetch
    from romfs_manifest.entries import Entry, Manifest, read_entry
    from romfs_manifest.errors import ManifestError
    from romfs_manifest.evaluation import evaluate
    from romfs_manifest.lock import Lock, LockedFile, LockedPackage, check_lock
    from romfs_manifest.lockfile import read_lock, write_lock
    from romfs_manifest.resolve import make_lock
    from romfs_manifest.store import user_cache

__all__ = [
    "Entry",
    "Lock",
    "LockedFile",
    "LockedPackage",
    "Manifest",
    "ManifestError",
    "check_lock",
    "evaluate",
    "fetch",
    "make_lock",
    "read_entry",
    "read_lock",
    "user_cache",
    "write_lock",
]

_HOMES = {
    "ManifestError": "errors",
    "evaluate": "evaluation",
    **dict.fromkeys(("Entry", "Manifest", "read_entry"), "entries"),
    **dict.fromkeys(("Lock", "LockedFile", "LockedPackage", "check_lock"), "lock"),
    **dict.fromkeys(("read_lock", "write_lock"), "lockfile"),
    "fetch": "download",
    "make_lock": "resolve",
    "user_cache": "store",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
