"""What a project's dependencies resolved to, and whether that still is what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.names import Request, parse_request, requests_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_PACKAGES = 2_000
MAX_FILES = 20_000
MAX_FILE = 32 << 20
"""Bytes of a file, at most."""
MAX_TOTAL = 256 << 20
"""Bytes of all files together, at most."""
AGAIN = "Run 'romfs-manifest lock'."
PROJECT = "the project"


class LockedFile(NamedTuple):
    """A file of a package: where it goes in an image, where it came from, and its bytes."""

    target: str
    url: str
    sha256: str
    size: int


class LockedPackage(NamedTuple):
    """A package; ``dependencies`` are requests as it wrote them.

    ``version`` is the one that the index gave, or the ref in a repository; it is empty where nobody named one.
    """

    name: str
    version: str
    dependencies: tuple[str, ...]
    files: tuple[LockedFile, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()

    def fits(self, request: Request) -> bool:
        """Say whether it is what ``request`` asks for."""
        return self.name == request.name and request.version in ("", self.version)


class Lock(NamedTuple):
    """What was asked for, and all packages that follow from it.

    Packages came from the index at ``index_url``; ``form`` is ``py``, which is source, or the number of a .mpy format.
    """

    requests: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    index_url: str
    form: str


def check_lock(lock: Lock, requests: Iterable[str]) -> None:
    """Raise ManifestError where ``lock`` is not one for ``requests``; it takes no network."""
    asked = {str(request) for request in requests_of(list(requests))}
    for text in sorted(asked ^ set(lock.requests)):
        stale = "is asked for, but is not in the lock" if text in asked else "is locked, but is not asked for"
        raise ManifestError(f"{text} {stale}", hint=AGAIN)
    by_name: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)
    reached: set[LockedPackage] = set()
    ahead = [(PROJECT, text) for text in lock.requests]
    while ahead:
        by, text = ahead.pop()
        request = parse_request(text)
        fitting = [package for package in by_name.get(request.name, ()) if package.fits(request)]
        if not fitting:
            raise ManifestError(f"{request}, which {by} asks for, is not in the lock", hint=AGAIN)
        for package in fitting:
            if package not in reached:
                reached.add(package)
                ahead += ((str(package), text) for text in package.dependencies)
    for package in lock.packages:
        if package not in reached:
            raise ManifestError(f"{package} is in the lock, but nothing asks for it", hint=AGAIN)


def check_conflicts(packages: Collection[LockedPackage], requests: Collection[str]) -> None:
    """Raise ManifestError where two packages cannot be in one image, naming both and who asked for them.

    Two versions of a package are in conflict unless their files are equal; so are two packages that put different
    bytes under one path, or a file where another has a folder.
    """
    versions: dict[str, LockedPackage] = {}
    for package in packages:
        other = versions.setdefault(package.name, package)
        if _bytes(other) != _bytes(package):
            raise ManifestError(
                f"two versions of {package.name}: {_asked(other, packages, requests)},"
                f" {_asked(package, packages, requests)}",
                hint="Where any version will do, the one that the project names is taken; or try --upgrade.",
            )
    owners: dict[str, tuple[LockedPackage, str]] = {}
    for package in packages:
        for file in package.files:
            owner, sha256 = owners.setdefault(file.target, (package, file.sha256))
            if sha256 != file.sha256:
                raise _two(file.target, (owner, package), packages, requests)
    for target, (package, _) in owners.items():
        for end in (at for at, character in enumerate(target) if character == "/"):
            if target[:end] in owners:
                raise _two(target[:end], (owners[target[:end]][0], package), packages, requests)


def _two(
    target: str,
    owners: tuple[LockedPackage, LockedPackage],
    packages: Collection[LockedPackage],
    requests: Collection[str],
) -> ManifestError:
    first, second = (_asked(owner, packages, requests) for owner in owners)
    return ManifestError(f"two different files for {target!r}: of {first}, and of {second}")


def _bytes(package: LockedPackage) -> dict[str, str]:
    return {file.target: file.sha256 for file in package.files}


def _asked(package: LockedPackage, packages: Collection[LockedPackage], requests: Collection[str]) -> str:
    """Return a package with those who ask for this very version, or else those for whom any will do."""
    askers = [(PROJECT, requests), *((str(other), other.dependencies) for other in packages)]
    for version in (package.version, ""):
        wanted = str(Request(package.name, version))
        if by := [name for name, texts in askers if wanted in texts]:
            return f"{package} (for {', '.join(by)})"
    return str(package)
