"""MicroPython's ``manifest.py`` files and mip packages: evaluated safely, resolved and locked.

This is the public API; each name is imported when it is first used, and every failure is a ``ManifestError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from romfs_manifest.entries import Entry, Manifest, read_entry
    from romfs_manifest.errors import ManifestError
    from romfs_manifest.evaluation import evaluate

__all__ = ["Entry", "Manifest", "ManifestError", "evaluate", "read_entry"]

_HOMES = {"ManifestError": "errors", "evaluate": "evaluation"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'entries')}"), name)
