"""Compiled modules, by the hash of everything they depend on, in the user's cache folder.

An entry is the SHA-256 of the data, followed by the data. An entry that is damaged does not match, and counts as
missing. The folder can be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.shared.atomic import replace_atomically

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = 32


class Cache(NamedTuple):
    """A cache in ``folder``; if that does not exist, nothing is stored."""

    folder: Path

    @classmethod
    def of_user(cls) -> Cache:
        """Return the cache that all projects of the user share."""
        from platformdirs import user_cache_path  # noqa: PLC0415 - not needed with --no-cache

        folder = user_cache_path("hatch-romfs", appauthor=False) / "mpy"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def get(self, key: str) -> bytes | None:
        """Return the data that was stored under ``key``, or None."""
        try:
            with open(self._path(key), "rb", buffering=0) as file:  # noqa: PTH123 - Path.open takes twice as long
                entry = file.read()
        except OSError:
            return None
        data = entry[_DIGEST:]
        return data if hashlib.sha256(data).digest() == entry[:_DIGEST] else None

    def put(self, key: str, data: bytes) -> None:
        """Store ``data``, if the folder can be written: a build works without a cache."""
        with (
            contextlib.suppress(OSError),
            replace_atomically(self._path(key)) as temporary,
            open(temporary, "xb", buffering=0) as file,  # noqa: PTH123 - Path.open takes twice as long
        ):
            file.write(hashlib.sha256(data).digest() + data)

    def _path(self, key: str) -> str:
        return f"{self.folder}{os.sep}{key}"
