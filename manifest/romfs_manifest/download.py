"""A lock to the bytes of its files: from the cache, and what that lacks from where the lock says."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError
from romfs_manifest.lock import MAX_TOTAL, Lock, LockedFile, LockedPackage
from romfs_manifest.store import get, put, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from romfs_manifest.web import Web


def fetch(lock: Lock, cache: Path, on_progress: Callable[[str, int, int], None] = lambda *_: None) -> dict[str, bytes]:
    """Return the bytes of every file of ``lock`` by its target; each was held against its SHA-256 in this call.

    Where ``cache`` has all of them no network is taken. ``on_progress`` is told what is being done, how much of it
    is done, and how much there is. Raises ManifestError, which names the package, for what cannot be had or differs.
    """
    owners = {file: package for package in lock.packages for file in package.files}
    if sum(file.size for file in owners) > MAX_TOTAL:
        raise ManifestError(f"the lock has more than {MAX_TOTAL:,} bytes")
    wanted = {file.sha256: file for file in sorted(owners, reverse=True)}
    found = {sha256: get(cache, sha256, file.size) for sha256, file in wanted.items()}
    held = {sha256: data for sha256, data in found.items() if data is not None}
    lacking = [file for sha256, file in wanted.items() if sha256 not in held]
    if lacking:
        from romfs_manifest.crew import side_by_side  # noqa: PLC0415 - most builds find all they need
        from romfs_manifest.web import Web  # noqa: PLC0415

        with closing(Web(lock.index_url)) as web:
            for file, data in side_by_side(lambda file: _downloaded(web, owners[file], file), lacking):
                put(cache, file.sha256, data)
                held[file.sha256] = data
                on_progress("fetching", len(held) + len(lacking) - len(wanted), len(lacking))
    return {file.target: held[file.sha256] for file in sorted(owners)}


def _downloaded(web: Web, package: LockedPackage, file: LockedFile) -> bytes:
    try:
        data = web.get(file.url, file.size)
    except ManifestError as error:
        raise ManifestError(f"{package}: {error.message}", hint=error.hint) from error
    if len(data) != file.size or sha256_of(data) != file.sha256:
        raise ManifestError(
            f"{package}: {file.url}: its bytes are not those that were locked",
            hint=f"Find out why; 'romfs-manifest lock --upgrade {package.name}' takes what is there now.",
        )
    return data
