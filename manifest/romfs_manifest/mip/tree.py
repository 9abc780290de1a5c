"""Show which package of a lock requires which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from romfs_manifest.mip.lock import PROJECT
from romfs_manifest.mip.names import parse_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from romfs_manifest.mip.lock import Lock, LockedPackage


def required_by(lock: Lock) -> dict[LockedPackage, list[str]]:
    """Return for each package who requires it: the project, or other packages."""
    askers = [(PROJECT, lock.requests), *((str(package), package.dependencies) for package in lock.packages)]
    wanted = [(name, parse_request(text)) for name, texts in askers for text in texts]
    return {package: [name for name, one in wanted if package.satisfies(one)] for package in lock.packages}


def draw_tree(lock: Lock) -> Iterator[str]:
    """Yield a line for each package, below the one that requires it; what a package requires is drawn once."""
    by_name: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)
    drawn: set[LockedPackage] = set()

    def matching(texts: Iterable[str]) -> list[tuple[str, LockedPackage]]:
        requests = sorted(map(parse_request, texts))
        return [
            (one.version, package)
            for one in requests
            for package in by_name.get(one.name, ())
            if package.satisfies(one)
        ]

    # Not recursive: packages can require one another in a long chain.
    ahead = [(0, *one) for one in reversed(matching(lock.requests))]
    while ahead:
        depth, version, package = ahead.pop()
        again = package in drawn and package.dependencies
        asked = f"  (requires {version})" if version and depth else ""
        yield f"{'  ' * depth}{package}{asked}{'  (see above)' if again else ''}"
        if package not in drawn:
            drawn.add(package)
            ahead += [(depth + 1, *one) for one in reversed(matching(package.dependencies))]
