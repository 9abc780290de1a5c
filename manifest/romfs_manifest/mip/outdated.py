"""Find locked packages that have a newer version in the index."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.descriptions import Descriptions
from romfs_manifest.mip.names import FILE, locate
from romfs_manifest.mip.policy import locate_index, make_policy
from romfs_manifest.mip.reader import Reader
from romfs_manifest.mip.versions import is_newer
from romfs_manifest.mip.workers import map_parallel

if TYPE_CHECKING:
    from pathlib import Path

    from romfs_manifest.mip.lock import Lock, LockedPackage


class Outdated(NamedTuple):
    """A locked package with a newer version in the index."""

    name: str
    locked: str
    latest: str


def find_outdated(lock: Lock, *, root: Path) -> list[Outdated]:
    """Return the packages of the index that have a newer version, sorted by name.

    Packages from repositories, addresses, and folders have no list of versions. Raises ManifestError.
    """
    packages = [one for one in lock.packages if not one.name.startswith(FILE) and locate(one.name) is None]
    with closing(Reader(make_policy(lock.index_url, lock.requests), root)) as reader:
        descriptions = Descriptions(reader, locate_index(lock.index_url), lock.form)

        def latest(package: LockedPackage) -> str:
            try:
                return descriptions.latest(package.name)
            except ManifestError as error:
                raise ManifestError(f"{package}: {error.message}", hint=error.hint) from error

        found = list(map_parallel(latest, packages))
    newer = (Outdated(one.name, one.version, version) for one, version in found if is_newer(version, one.version))
    return sorted(newer)
