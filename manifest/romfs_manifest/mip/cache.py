"""Fetched files by the SHA-256 of their bytes, in a folder that all projects of a user share.

An entry is named by its hash and checked against it whenever it is read: one that was truncated or changed counts as
missing, and so does one of another user. It is written under a temporary name and renamed, so nobody sees a part of
one. The folder is for its user alone, and can be deleted at any time. A cache that cannot be used is not a failure:
what was fetched is used all the same.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import stat
from pathlib import Path

from romfs_manifest.errors import ManifestError
from romfs_manifest.shared.atomic import remove_leftovers, replace_atomically
from romfs_manifest.shared.private import check_folder, create_private, protect, read_own


def user_cache() -> Path:
    """Return the folder that all projects of the user share, and that nobody else can read."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed if a folder is named

    folder = user_cache_path("hatch-romfs", appauthor=False) / "packages"
    with contextlib.suppress(OSError):  # then it cannot be used, which is a warning
        create_private(folder)
        protect(folder)
    return folder


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def get(cache: Path, sha256: str, size: int) -> bytes | None:
    """Return the ``size`` bytes with this hash, or None if the cache does not contain them or cannot be trusted.

    Raises ManifestError for an entry that is a pipe, a device, or a folder.
    """
    path = cache / sha256
    try:
        check_folder(cache)
        data = read_own(path, size)
    except OSError:
        if _is_special(path):
            raise ManifestError(f"{path} is not a regular file", hint="Remove it.") from None
        return None
    return data if len(data) == size and hash_bytes(data) == sha256 else None


def put(cache: Path, sha256: str, data: bytes) -> str | None:
    """Keep ``data``, whose hash is ``sha256``; return a warning if the cache cannot be written."""
    try:
        create_private(cache)
        _clean_once(cache)
        with replace_atomically(cache / sha256, clean=False) as temporary:
            Path(temporary).write_bytes(data)
    except OSError as error:
        return f"the cache {cache} cannot be written: {error.strerror}; the files will be fetched again next time"
    return None


@functools.cache
def _clean_once(cache: Path) -> None:
    """Remove what killed processes have left in the cache, once in a process: listing it takes its time."""
    remove_leftovers(cache)


def _is_special(path: Path) -> bool:
    """Return whether there is something that is not a regular file."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
