"""What the dependencies of a project resolved to, and whether that is still what the project asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.names import FILE, Request, parse_request, parse_requests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_PACKAGES = 2_000
MAX_FILES = 20_000
MAX_TOTAL = 256 << 20
"""Maximum size of all files together, in bytes."""
RELOCK = "Run 'romfs-manifest lock'."
PROJECT = "the project"


class LockedFile(NamedTuple):
    """A file of a package: its path in an image, where it came from, and its bytes."""

    target: str
    url: str
    sha256: str
    size: int


class LockedPackage(NamedTuple):
    """A package; ``dependencies`` are requests as text.

    ``version`` is the version that the index gave, or the ref in a repository; it is empty if there is none.
    """

    name: str
    version: str
    dependencies: tuple[str, ...]
    files: tuple[LockedFile, ...]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}: {len(self.files):,} files>"

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()

    def satisfies(self, request: Request) -> bool:
        """Return whether it is what ``request`` asks for."""
        return self.name == request.name and request.version in ("", self.version)


class Lock(NamedTuple):
    """What a project asks for, and all packages that follow from it.

    Packages came from the index at ``index_url``. ``form`` is ``py``, which is source, or the number of a .mpy format.
    """

    requests: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    index_url: str
    form: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.packages):,} packages from {self.index_url!r}, form {self.form!r}>"

    def local_files(self) -> list[str]:
        """Return the paths of all files on this machine, relative to the project."""
        urls = (file.url for package in self.packages for file in package.files)
        return sorted({url.removeprefix(FILE) for url in urls if url.startswith(FILE)})


def check_lock(lock: Lock, requests: Iterable[str]) -> None:
    """Raise ManifestError if ``lock`` does not match ``requests``; needs no network."""
    asked = {str(request) for request in parse_requests(list(requests))}
    for text in sorted(asked ^ set(lock.requests)):
        stale = "is a dependency, but is not in the lock" if text in asked else "is locked, but is not a dependency"
        raise ManifestError(f"{text} {stale}", hint=RELOCK)
    by_name: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)
    reached: set[LockedPackage] = set()
    ahead = [(PROJECT, text) for text in lock.requests]
    while ahead:
        by, text = ahead.pop()
        request = parse_request(text)
        matching = [package for package in by_name.get(request.name, ()) if package.satisfies(request)]
        if not matching:
            raise ManifestError(f"{request}, which {by} requires, is not in the lock", hint=RELOCK)
        for package in matching:
            if package not in reached:
                reached.add(package)
                ahead += ((str(package), text) for text in package.dependencies)
    for package in lock.packages:
        if package not in reached:
            raise ManifestError(f"{package} is in the lock, but nothing requires it", hint=RELOCK)


def check_conflicts(packages: Collection[LockedPackage], requests: Collection[str]) -> None:
    """Raise ManifestError if two packages cannot be in one image; it names both and who requires them.

    Two versions of a package conflict unless their files are equal. So do two packages with different bytes for one
    path, or with a file where the other has a folder.
    """
    versions: dict[str, LockedPackage] = {}
    for package in packages:
        other = versions.setdefault(package.name, package)
        if _hashes(other) != _hashes(package):
            shown = [_with_askers(one, packages, requests) for one in (other, package)]
            raise ManifestError(
                f"two versions of {package.name}: {', '.join(shown)}",
                hint="Name one version in the project's dependencies, or try 'lock --upgrade'.",
            )
    owners: dict[str, tuple[LockedPackage, str]] = {}
    for package in packages:
        for file in package.files:
            owner, sha256 = owners.setdefault(file.target, (package, file.sha256))
            if sha256 != file.sha256:
                raise _two_files(file.target, (owner, package), packages, requests)
    for target, (package, _) in owners.items():
        for end in (at for at, character in enumerate(target) if character == "/"):
            if target[:end] in owners:
                raise _two_files(target[:end], (owners[target[:end]][0], package), packages, requests)


def _two_files(
    target: str,
    owners: tuple[LockedPackage, LockedPackage],
    packages: Collection[LockedPackage],
    requests: Collection[str],
) -> ManifestError:
    first, second = (_with_askers(owner, packages, requests) for owner in owners)
    return ManifestError(
        f"two different files for {target!r}: from {first}, and from {second}", hint="Remove one of the packages."
    )


def _hashes(package: LockedPackage) -> dict[str, str]:
    return {file.target: file.sha256 for file in package.files}


def _with_askers(package: LockedPackage, packages: Collection[LockedPackage], requests: Collection[str]) -> str:
    """Return a package with those who require this version, or else with those who accept any version."""
    askers = [(PROJECT, requests), *((str(other), other.dependencies) for other in packages)]
    for version in (package.version, ""):
        wanted = str(Request(package.name, version))
        if by := [name for name, texts in askers if wanted in texts]:
            return f"{package} (for {', '.join(by)})"
    return str(package)
