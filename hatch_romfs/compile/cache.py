"""Compiled modules by the hash of all they depend on, in the user's cache folder.

An entry is the SHA-256 of the data, then the data: one that was cut short or changed does not match, and is as
good as missing. It is written under another name and then renamed, so that builds that run at once never see half
of one. The folder may be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = 32


class Cache(NamedTuple):
    """A cache in ``folder``, which must be there for anything to be kept."""

    folder: Path

    @classmethod
    def of_user(cls) -> Cache:
        """Return the cache that all of the user's projects share."""
        from platformdirs import user_cache_path  # noqa: PLC0415 - not needed with --no-cache

        folder = user_cache_path("hatch-romfs", appauthor=False) / "mpy"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def get(self, key: str) -> bytes | None:
        """Return what was put under ``key``, or None."""
        try:
            with open(self._path(key), "rb", buffering=0) as file:  # noqa: PTH123 - Path.open takes twice as long
                entry = file.read()
        except OSError:
            return None
        data = entry[_DIGEST:]
        return data if hashlib.sha256(data).digest() == entry[:_DIGEST] else None

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data``; where the folder cannot be written nothing is kept, and nobody is told."""
        path = self._path(key)
        passing = f"{path}.{os.urandom(4).hex()}"
        with contextlib.suppress(OSError):
            try:
                with open(passing, "xb", buffering=0) as file:  # noqa: PTH123
                    file.write(hashlib.sha256(data).digest() + data)
                os.replace(passing, path)  # noqa: PTH105
            except BaseException:
                os.unlink(passing)  # noqa: PTH108
                raise

    def _path(self, key: str) -> str:
        return f"{self.folder}{os.sep}{key}"
