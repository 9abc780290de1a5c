"""Resolve requests to a lock: the only step that trusts an index.

First every ``package.json`` that the requests lead to is read and checked. Files are fetched only then: for a set of
packages that contains an invalid one, no file is fetched.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError, UsageError
from romfs_manifest.files import MAX_FILE
from romfs_manifest.mip.cache import hash_bytes, put, user_cache
from romfs_manifest.mip.descriptions import Descriptions, Draft
from romfs_manifest.mip.lock import (
    MAX_FILES,
    MAX_PACKAGES,
    MAX_TOTAL,
    PROJECT,
    Lock,
    LockedFile,
    LockedPackage,
    check_conflicts,
)
from romfs_manifest.mip.names import FILE, Request, parse_request, parse_requests
from romfs_manifest.mip.policy import index_url, locate_index, make_policy
from romfs_manifest.mip.reader import Reader
from romfs_manifest.mip.versions import newest
from romfs_manifest.mip.workers import map_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from romfs_manifest.mip.package_json import Source

    Progress = Callable[[str, int, int], None]

DEFAULT_INDEX = "https://micropython.org/pi/v2"


def make_lock(  # noqa: PLR0913 - each has a name
    requests: Iterable[str],
    *,
    index: str = DEFAULT_INDEX,
    form: str = "py",
    previous: Lock | None = None,
    upgrade: Collection[str] = (),
    cache: Path | None = None,
    on_progress: Progress = lambda *_: None,
    root: Path = Path(),
    on_warning: Callable[[str], None] = lambda _: None,
) -> Lock:
    """Resolve ``requests`` and everything that they require.

    If a package accepts any version of another one, it gets the version that the project names, or else one that
    another package names, or else the one in ``previous``, or else the latest. Packages in ``previous`` are kept,
    unless it was made from another ``index`` or in another ``form``, ``upgrade`` names the package, or the package is
    on this machine. Packages on this machine are relative to ``root``, the folder of the project.

    Every file is fetched once, to learn its hash, and kept in ``cache``, by default the user's. ``on_progress``
    receives what is being done, how much of it is done, and how much there is; ``on_warning`` receives warnings.
    Raises ManifestError.
    """
    try:
        place = locate_index(index)
    except ManifestError as error:
        raise UsageError(error.message, hint=error.hint) from error
    if form != "py" and not (form.isascii() and form.isdecimal()):
        raise UsageError(f"there is no form {form!r} of packages", hint="It is 'py', or the number of a .mpy format.")
    asked = parse_requests(list(requests))
    index = index_url(index)
    upgraded = {parse_request(name).name for name in upgrade}
    same = previous is not None and (previous.index_url, previous.form) == (index, form)
    kept = [
        package
        for package in (previous.packages if previous and same else ())
        if package.name not in upgraded and not package.name.startswith(FILE)
    ]
    with closing(Reader(make_policy(index, asked), root)) as reader:
        found = _Exploration(asked, kept, Descriptions(reader, place, form), on_progress).run()
        for name in sorted(upgraded - {package.name for package in found}):
            raise UsageError(
                f"nothing requires a package {name!r}, which is to be upgraded",
                hint="To upgrade all packages of another folder, write the folder before --upgrade.",
            )
        packages = _Files(found, reader, cache or user_cache(), on_progress, on_warning).fetch()
    texts = tuple(map(str, asked))
    check_conflicts(packages, texts)
    return Lock(texts, packages, index, form)


class _Asked(NamedTuple):
    """A request, and the first package that makes it."""

    request: Request
    by: str


class _Exploration:
    """Finds every package that requests lead to, each once, whatever depends on what."""

    def __init__(
        self, asked: tuple[Request, ...], kept: list[LockedPackage], descriptions: Descriptions, on_progress: Progress
    ) -> None:
        self._asked = asked
        self._kept = kept
        self._descriptions = descriptions
        self._on_progress = on_progress
        self._known: dict[Request, Draft | LockedPackage] = {}
        self._pins: dict[str, str] = {}

    def run(self) -> list[Draft | LockedPackage]:
        """Return the packages, sorted; raises ManifestError."""
        project = {request.name: request.version for request in reversed(self._asked) if request.version}
        self._pins = dict(project)
        while True:
            found = self._explore()
            # Where a package names a version and another accepts any, the named one serves both. A name that was
            # pinned stays so, even if the package that named the version is gone again: else this might not end.
            named = _named_versions(found, self._asked)
            new = {name: version for name, version in named.items() if name not in self._pins}
            self._pins |= new
            if not any(Request(name, "") in found and _differs(found, name, version) for name, version in new.items()):
                return sorted(_unify(found.values()), key=lambda package: package[:2])

    def _explore(self) -> dict[Request, Draft | LockedPackage]:
        found: dict[Request, Draft | LockedPackage] = {}
        ahead = {self._pinned(request): PROJECT for request in self._asked}
        while ahead:
            if len(found) + len(ahead) > MAX_PACKAGES:
                raise ManifestError(f"more than {MAX_PACKAGES:,} packages are required")
            for request in ahead:
                for package in reversed(self._kept):
                    if package.satisfies(request):
                        self._known.setdefault(request, package)
            unknown = [_Asked(request, by) for request, by in ahead.items() if request not in self._known]
            done = len(found) + len(ahead) - len(unknown)
            for count, ((request, _), draft) in enumerate(map_parallel(self._describe, unknown), start=1):
                self._known[request] = draft
                self._on_progress("resolving", done + count, len(found) + len(ahead))
            new = {request: self._known[request] for request in ahead}
            found |= new
            followed = sorted((str(package), text) for package in new.values() for text in package.dependencies)
            ahead = {self._pinned(parse_request(text)): by for by, text in reversed(followed)}
            ahead = {request: by for request, by in ahead.items() if request not in found}
        return found

    def _describe(self, asked: _Asked) -> Draft:
        try:
            return self._descriptions.load(asked.request)
        except ManifestError as error:
            raise ManifestError(f"{asked.request} (for {asked.by}): {error.message}", hint=error.hint) from error

    def _pinned(self, request: Request) -> Request:
        return request if request.version else Request(request.name, self._pins.get(request.name, ""))


def _named_versions(found: dict[Request, Draft | LockedPackage], asked: tuple[Request, ...]) -> dict[str, str]:
    """Return, for every package of which somebody names a version, the newest version that is named."""
    wanted = {*asked, *(parse_request(text) for package in found.values() for text in package.dependencies)}
    versions: dict[str, list[str]] = {}
    for request in wanted:
        if request.version:
            versions.setdefault(request.name, []).append(request.version)
    return {name: newest(named) for name, named in versions.items()}


def _differs(found: dict[Request, Draft | LockedPackage], name: str, version: str) -> bool:
    return found[Request(name, "")].version != version


def _unify(packages: Iterable[Draft | LockedPackage]) -> Iterable[Draft | LockedPackage]:
    """Return each version of each package once; raises ManifestError if an index describes one in two ways."""
    known: dict[tuple[str, str], Draft | LockedPackage] = {}
    for package in packages:
        other = known.setdefault((package.name, package.version), package)
        if other != package:
            raise ManifestError(f"the index describes {package} twice, differently", hint="Report it to its owner.")
    return known.values()


class _Files:
    """Fetches the files of packages, to learn their hashes; packages that were kept have them already."""

    def __init__(
        self,
        found: list[Draft | LockedPackage],
        reader: Reader,
        cache: Path,
        on_progress: Progress,
        on_warning: Callable[[str], None],
    ) -> None:
        self._drafts = [package for package in found if isinstance(package, Draft)]
        self._locked = [package for package in found if isinstance(package, LockedPackage)]
        self._owners = {_key(source): draft for draft in reversed(self._drafts) for source in draft.sources}
        self._reader = reader
        self._cache = cache
        self._on_progress = on_progress
        self._on_warning = on_warning

    def fetch(self) -> tuple[LockedPackage, ...]:
        """Return all packages with their files, sorted; raises ManifestError."""
        files = sum(len(package.files) for package in self._locked)
        if files + sum(len(draft.sources) for draft in self._drafts) > MAX_FILES:
            raise ManifestError(f"the packages have more than {MAX_FILES:,} files")
        total = sum(file.size for package in self._locked for file in package.files)
        learned: dict[tuple[str, str], tuple[str, int]] = {}
        warnings: set[str | None] = {None}
        for source, (sha256, size, warning) in map_parallel(self._learn, sorted(self._owners)):
            learned[source] = sha256, size
            total += size
            if total > MAX_TOTAL:
                raise ManifestError(f"the packages have more than {MAX_TOTAL:,} bytes")
            if warning not in warnings:
                warnings.add(warning)
                self._on_warning(warning or "")
            self._on_progress("fetching", len(learned), len(self._owners))
        locked = list(self._locked)
        for name, version, dependencies, sources in self._drafts:
            of_package = (LockedFile(source.target, source.location.url, *learned[_key(source)]) for source in sources)
            locked.append(LockedPackage(name, version, dependencies, tuple(sorted(of_package))))
        return tuple(sorted(locked))

    def _learn(self, key: tuple[str, str]) -> tuple[str, int, str | None]:
        """Return the SHA-256 and the size of a file, and a warning if the cache does not keep it."""
        url, short = key
        owner = self._owners[key]
        try:
            data = self._reader.read(url, MAX_FILE, owner.name)
            sha256 = hash_bytes(data)
            _check_short_hash(url, sha256, short)
        except ManifestError as error:
            raise ManifestError(f"{owner}: {error.message}", hint=error.hint) from error
        local = owner.name.startswith(FILE) and url.startswith(FILE)
        return sha256, len(data), None if local else put(self._cache, sha256, data)


def _check_short_hash(url: str, sha256: str, short: str) -> None:
    if not sha256.startswith(short):
        raise ManifestError(
            f"{url}: its SHA-256 begins with {sha256[: len(short)]}, but the index says {short}",
            hint="The file was changed or damaged; report it to the owner of the index.",
        )


def _key(source: Source) -> tuple[str, str]:
    return source.location.url, source.short
