"""A lock to the bytes of its files: from the cache, and what that lacks from where the lock says."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError
from romfs_manifest.lock import MAX_TOTAL, Lock, LockedFile
from romfs_manifest.store import get, put, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def fetch(lock: Lock, cache: Path, on_progress: Callable[[str, int, int], None] = lambda *_: None) -> dict[str, bytes]:
    """Return the bytes of every file of ``lock`` by its target; each was held against its SHA-256 in this call.

    Where ``cache`` has all of them no network is taken. ``on_progress`` is told what is being done, how much of it
    is done, and how much there is. Raises ManifestError, which names the package, for what cannot be had or differs.
    """
    owners = {file: package for package in lock.packages for file in package.files}
    if sum(file.size for file in owners) > MAX_TOTAL:
        raise ManifestError(f"the lock has more than {MAX_TOTAL:,} bytes")
    held: dict[str, bytes] = {}
    lacking: dict[str, LockedFile] = {}
    for file in sorted(owners):
        if file.sha256 in held or file.sha256 in lacking:
            continue
        data = get(cache, file.sha256, file.size)
        if data is None:
            lacking[file.sha256] = file
        else:
            held[file.sha256] = data
    if lacking:
        from romfs_manifest.crew import side_by_side  # noqa: PLC0415 - most builds find all they need
        from romfs_manifest.web import Web  # noqa: PLC0415

        with closing(Web(lock.index_url)) as web:

            def download(file: LockedFile) -> bytes:
                try:
                    data = web.get(file.url, file.size)
                except ManifestError as error:
                    raise ManifestError(f"{owners[file]}: {error.message}", hint=error.hint) from error
                if len(data) != file.size or sha256_of(data) != file.sha256:
                    raise ManifestError(
                        f"{owners[file]}: {file.url}: its bytes are not those that were locked",
                        hint=f"Find out why; 'lock --upgrade {owners[file].name}' takes what is there now.",
                    )
                put(cache, file.sha256, data)
                return data

            for done, (file, data) in enumerate(side_by_side(download, lacking.values()), 1):
                held[file.sha256] = data
                on_progress("fetching", done, len(lacking))
    return {file.target: held[file.sha256] for file in sorted(owners)}
