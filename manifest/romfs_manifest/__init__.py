"""MicroPython's ``manifest.py`` files and mip packages: evaluated safely, resolved, and locked.

This is the public API. Each name is imported when it is first used. Every failure is a ``ManifestError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from romfs_manifest.errors import ManifestError
    from romfs_manifest.manifest.entries import Entry, Manifest, read_entry
    from romfs_manifest.manifest.evaluate import evaluate
    from romfs_manifest.mip.cache import user_cache
    from romfs_manifest.mip.fetch import fetch
    from romfs_manifest.mip.lock import Lock, LockedFile, LockedPackage, check_lock
    from romfs_manifest.mip.lock_file import read_lock, write_lock
    from romfs_manifest.mip.resolve import make_lock

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

_MODULES = {
    "ManifestError": "errors",
    **dict.fromkeys(("Entry", "Manifest", "read_entry"), "manifest.entries"),
    "evaluate": "manifest.evaluate",
    "user_cache": "mip.cache",
    "fetch": "mip.fetch",
    **dict.fromkeys(("Lock", "LockedFile", "LockedPackage", "check_lock"), "mip.lock"),
    **dict.fromkeys(("read_lock", "write_lock"), "mip.lock_file"),
    "make_lock": "mip.resolve",
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
