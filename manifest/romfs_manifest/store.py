"""Fetched files by the SHA-256 of their bytes, in a folder that all of the user's projects share.

An entry is named by its hash and held against it whenever it is read: one that was cut short or changed is as good
as missing. It is written under another name and then renamed, so that nobody ever sees half of one. The folder may
be removed at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def user_cache() -> Path:
    """Return the folder that all of the user's projects share."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed where a folder is named

    return user_cache_path("hatch-romfs", appauthor=False) / "packages"


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of ``data``, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def get(cache: Path, sha256: str, size: int) -> bytes | None:
    """Return the ``size`` bytes whose hash is ``sha256``, or None where the cache does not have them."""
    try:
        with (cache / sha256).open("rb") as file:
            data = file.read(size + 1)
    except OSError:
        return None
    return data if len(data) == size and sha256_of(data) == sha256 else None


def put(cache: Path, sha256: str, data: bytes) -> None:
    """Keep ``data``, whose hash is ``sha256``; raises ManifestError where the folder does not take it."""
    path = cache / sha256
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(path) as passing:
            passing.write_bytes(data)
    except OSError as error:
        if get(cache, sha256, len(data)) is None:  # else another process has just put it there, and holds it open
            raise ManifestError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file beside ``path`` that takes its place once it was written; raises OSError."""
    passing = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        yield passing
        passing.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            passing.unlink()
        raise
