"""Get the bytes of all files of a lock: from the cache, or else from where the lock says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.cache import get, hash_bytes, put
from romfs_manifest.mip.lock import MAX_TOTAL, Lock, LockedFile, LockedPackage
from romfs_manifest.mip.names import FILE
from romfs_manifest.mip.policy import check_named, make_policy
from romfs_manifest.mip.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable


def fetch(  # noqa: PLR0913 - each has a name
    lock: Lock,
    cache: Path,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
    *,
    root: Path = Path(),
    index: str | None = None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> dict[str, bytes]:
    """Return the bytes of every file of ``lock`` by target, each checked against its SHA-256.

    If ``cache`` contains all of them, the network is not used. Packages on this machine are relative to ``root``, the
    folder of the project. An index with plain http or on a private host is contacted only if ``index`` names it.
    ``on_progress`` receives what is being done, how much of it is done, and how much there is; ``on_warning``
    receives warnings. Raises ManifestError, which names the package, for bytes that cannot be fetched or differ.
    """
    owners = {file: package for package in lock.packages for file in package.files}
    if sum(file.size for file in owners) > MAX_TOTAL:
        raise ManifestError(f"the lock has more than {MAX_TOTAL:,} bytes")
    wanted = {file.sha256: file for file in sorted(owners, reverse=True)}
    # Local packages are read even if the cache has the bytes that were locked: a change must not go unnoticed.
    local = {file for file, package in owners.items() if package.name.startswith(FILE) and file.url.startswith(FILE)}
    cached = {sha256: get(cache, sha256, file.size) for sha256, file in wanted.items() if file not in local}
    found = {sha256: data for sha256, data in cached.items() if data is not None}
    missing = [file for sha256, file in wanted.items() if sha256 not in found]
    missing += sorted(file for file in local if wanted[file.sha256] != file)
    if missing:
        _check_contact(lock, [owners[file] for file in missing if not file.url.startswith(FILE)], index)
        from romfs_manifest.mip.workers import map_parallel  # noqa: PLC0415 - most builds need none

        warnings: set[str | None] = {None}
        with closing(Reader(make_policy(lock.index_url, lock.requests), root)) as reader:
            for count, (file, data) in enumerate(
                map_parallel(lambda file: _download(reader, owners[file], file), missing), start=1
            ):
                warning = None if file in local else put(cache, file.sha256, data)
                if warning not in warnings:
                    warnings.add(warning)
                    on_warning(warning or "")
                found[file.sha256] = data
                on_progress("fetching", count, len(missing))
    return {file.target: found[file.sha256] for file in sorted(owners)}


def _check_contact(lock: Lock, packages: list[LockedPackage], named: str | None) -> None:
    """Raise ManifestError if the network is needed, and the user has to name the index but did not."""
    if packages:
        try:
            check_named(lock.index_url, named)
        except ManifestError as error:
            raise ManifestError(f"{packages[0]} is not in the cache, and {error.message}", hint=error.hint) from None


def _download(reader: Reader, package: LockedPackage, file: LockedFile) -> bytes:
    try:
        data = reader.read(file.url, file.size, package.name)
    except ManifestError as error:
        raise ManifestError(f"{package}: {error.message}", hint=error.hint) from error
    if len(data) != file.size or hash_bytes(data) != file.sha256:
        raise ManifestError(
            f"{package}: {file.url}: the bytes differ from those that were locked",
            hint=f"Find out why. To lock the new bytes, run 'romfs-manifest lock --upgrade {package.name}'.",
        )
    return data
