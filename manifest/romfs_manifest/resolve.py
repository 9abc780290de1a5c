"""Requests to a lock: the only step that trusts an index.

First every ``package.json`` that the requests lead to is read and checked, then files are fetched: nothing is
fetched for a set of packages of which one is not sound.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.crew import side_by_side
from romfs_manifest.errors import ManifestError, UsageError
from romfs_manifest.lock import (
    MAX_FILE,
    MAX_FILES,
    MAX_PACKAGES,
    MAX_TOTAL,
    PROJECT,
    Lock,
    LockedFile,
    LockedPackage,
    check_conflicts,
)
from romfs_manifest.names import Location, Request, checked_version, locate, parse_request, requests_of
from romfs_manifest.package import MAX_SIZE, Listing, Source, check_target, read_listing
from romfs_manifest.store import put, sha256_of, user_cache
from romfs_manifest.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    Progress = Callable[[str, int, int], None]

DEFAULT_INDEX = "https://micropython.org/pi/v2"


class _Draft(NamedTuple):
    """A package before its files were fetched."""

    name: str
    version: str
    dependencies: tuple[str, ...]
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


class _Asked(NamedTuple):
    """A request, and the first who makes it."""

    request: Request
    by: str


class _Loader(NamedTuple):
    """Where packages are described."""

    web: Web
    root: Location
    form: str

    def load(self, asked: _Asked) -> _Draft:
        """Fetch and check the description of one package; raises ManifestError."""
        try:
            return self._draft(asked.request)
        except ManifestError as error:
            raise ManifestError(f"{asked.request} (for {asked.by}): {error.message}", hint=error.hint) from error

    def _draft(self, request: Request) -> _Draft:
        name, version = request
        location = locate(name, version)
        if location is None:
            listing = self._listing(self.root.joined(f"package/{self.form}/{name}/{version or 'latest'}.json"))
            if version and listing.version not in ("", version):
                raise ManifestError(f"the index has version {listing.version!r} under this name")
            version = version or checked_version(listing.version)
        elif location.path.endswith((".py", ".mpy")):
            target = check_target(location.path.rpartition("/")[2])
            listing = Listing("", (Source(target, location.url, ""),), ())
        else:
            listing = self._listing(location if location.path.endswith(".json") else location.joined("package.json"))
        return _Draft(name, version, tuple(map(str, listing.dependencies)), listing.sources)

    def _listing(self, location: Location) -> Listing:
        return read_listing(self.web.get(location.url, MAX_SIZE), location.folder, self.root)


def make_lock(  # noqa: PLR0913 - each is a thing of its own, and has a name
    requests: Iterable[str],
    *,
    index: str = DEFAULT_INDEX,
    form: str = "py",
    previous: Lock | None = None,
    upgrade: Collection[str] = (),
    cache: Path | None = None,
    on_progress: Progress = lambda *_: None,
) -> Lock:
    """Resolve ``requests`` and all that follows from them.

    A version that the project names stands wherever a package would take any. What ``previous`` has for a request
    is kept, unless it was made from another ``index`` or in another ``form``, or ``upgrade`` names the package. Every
    file is fetched once, to learn its hash, and goes into ``cache``, by default the user's. ``on_progress`` is told
    what is being done, how much of it is done, and how much there is. Raises ManifestError.
    """
    place = locate(index.rstrip("/"))
    if place is None or not place.root.startswith("http"):
        raise UsageError(f"{index!r} is not the address of an index", hint="Name it as https://HOST/PATH.")
    if form != "py" and not (form.isascii() and form.isdecimal()):
        raise UsageError(f"there is no form {form!r} of packages", hint="It is 'py', or the number of a .mpy format.")
    asked = requests_of(list(requests))
    index = place.url.rstrip("/")
    same = previous is not None and (previous.index_url, previous.form) == (index, form)
    kept = [package for package in previous.packages if package.name not in upgrade] if previous and same else []
    with closing(Web(index)) as web:
        found = _explore(asked, kept, _Loader(web, place, form), on_progress)
        for name in sorted(set(upgrade) - {package.name for package in found}):
            raise UsageError(f"nothing asks for a package {name!r}, which is to be upgraded")
        packages = _fetched(found, web, cache or user_cache(), on_progress)
    texts = tuple(map(str, asked))
    check_conflicts(packages, texts)
    return Lock(texts, packages, index, form)


def _explore(
    asked: tuple[Request, ...], kept: list[LockedPackage], loader: _Loader, on_progress: Progress
) -> list[_Draft | LockedPackage]:
    """Return every package that ``asked`` leads to, each once, however they depend on one another."""
    pins = {request.name: request.version for request in reversed(asked) if request.version}
    found: dict[Request, _Draft | LockedPackage] = {}
    ahead = {_pinned(request, pins): PROJECT for request in asked}
    while ahead:
        if len(found) + len(ahead) > MAX_PACKAGES:
            raise ManifestError(f"more than {MAX_PACKAGES:,} packages are asked for")
        new: dict[Request, _Draft | LockedPackage] = {
            request: package for request in ahead for package in reversed(kept) if package.fits(request)
        }
        unknown = [_Asked(request, by) for request, by in ahead.items() if request not in new]
        for (request, _), draft in side_by_side(loader.load, unknown):
            new[request] = draft
            on_progress("resolving", len(found) + len(new), len(found) + len(ahead))
        found |= new
        followed = sorted((str(package), text) for package in new.values() for text in package.dependencies)
        ahead = {_pinned(parse_request(text), pins): by for by, text in reversed(followed)}
        ahead = {request: by for request, by in ahead.items() if request not in found}
    return sorted(_agreeing(found.values()), key=lambda package: package[:2])


def _pinned(request: Request, pins: dict[str, str]) -> Request:
    return request if request.version else Request(request.name, pins.get(request.name, ""))


def _agreeing(packages: Iterable[_Draft | LockedPackage]) -> Iterable[_Draft | LockedPackage]:
    """Return each version of each package once; what an index says of one twice must be the same."""
    known: dict[tuple[str, str], _Draft | LockedPackage] = {}
    for package in packages:
        other = known.setdefault((package.name, package.version), package)
        if other != package:
            raise ManifestError(f"the index has {package} twice, and not the same")
    return known.values()


def _fetched(
    found: list[_Draft | LockedPackage], web: Web, cache: Path, on_progress: Progress
) -> tuple[LockedPackage, ...]:
    """Return ``found`` with the full hash and the size of every file; what was kept has them already."""
    drafts = [package for package in found if isinstance(package, _Draft)]
    locked = [package for package in found if isinstance(package, LockedPackage)]
    sources = sorted({source[1:] for draft in drafts for source in draft.sources})
    total = sum(file.size for package in locked for file in package.files)
    if sum(len(package.files) for package in locked) + sum(len(draft.sources) for draft in drafts) > MAX_FILES:
        raise ManifestError(f"the packages have more than {MAX_FILES:,} files")
    owner = {source[1:]: draft for draft in reversed(drafts) for source in draft.sources}

    def learn(source: tuple[str, str]) -> tuple[str, int]:
        url, short = source
        try:
            data = web.get(url, MAX_FILE)
            sha256 = sha256_of(data)
            _check_short(url, sha256, short)
        except ManifestError as error:
            raise ManifestError(f"{owner[source]}: {error.message}", hint=error.hint) from error
        put(cache, sha256, data)
        return sha256, len(data)

    learned: dict[tuple[str, str], tuple[str, int]] = {}
    for source, (sha256, size) in side_by_side(learn, sources):
        learned[source] = sha256, size
        total += size
        if total > MAX_TOTAL:
            raise ManifestError(f"the packages have more than {MAX_TOTAL:,} bytes")
        on_progress("fetching", len(learned), len(sources))
    for name, version, dependencies, listed in drafts:
        files = sorted(LockedFile(target, url, *learned[url, short]) for target, url, short in listed)
        locked.append(LockedPackage(name, version, dependencies, tuple(files)))
    return tuple(sorted(locked))


def _check_short(url: str, sha256: str, short: str) -> None:
    if not sha256.startswith(short):
        raise ManifestError(f"{url}: its SHA-256 begins with {sha256[: len(short)]}, and the index says {short}")
