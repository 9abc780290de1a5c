"""Fetched files by the SHA-256 of their bytes, in a folder that all projects of a user share.

An entry is named by its hash and checked against it whenever it is read: one that was truncated or changed counts as
missing. It is written under a temporary name and renamed, so nobody sees a part of one. The folder can be deleted at
any time. A cache that cannot be written is not a failure: what was fetched is used all the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from romfs_manifest.errors import ManifestError
from romfs_manifest.files import read_file
from romfs_manifest.shared.atomic import replace_atomically


def user_cache() -> Path:
    """Return the folder that all projects of the user share."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed if a folder is named

    return user_cache_path("hatch-romfs", appauthor=False) / "packages"


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def get(cache: Path, sha256: str, size: int) -> bytes | None:
    """Return the ``size`` bytes with this hash, or None if the cache does not contain them or cannot be read.

    Raises ManifestError for an entry that is a pipe, a device, or a folder.
    """
    path = cache / sha256
    try:
        data = read_file(path, size)
    except ManifestError:
        if path.exists() and not path.is_file():
            raise
        return None
    return data if len(data) == size and hash_bytes(data) == sha256 else None


def put(cache: Path, sha256: str, data: bytes) -> str | None:
    """Keep ``data``, whose hash is ``sha256``; return a warning if the cache cannot be written."""
    path = cache / sha256
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with replace_atomically(path) as temporary:
            Path(temporary).write_bytes(data)
    except OSError as error:
        return f"the cache {cache} cannot be written: {error.strerror}; the files will be fetched again next time"
    return None
