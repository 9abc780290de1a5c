"""Describe a package: read its ``package.json`` from an index, a repository, a site, or a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.names import FILE, Location, check_version, locate, locate_file
from romfs_manifest.mip.package_json import MAX_SIZE, Listing, Source, parse_json, read_listing
from romfs_manifest.targets import check_target

if TYPE_CHECKING:
    from romfs_manifest.mip.names import Request
    from romfs_manifest.mip.reader import Reader


class Draft(NamedTuple):
    """A package before its files are fetched."""

    name: str
    version: str
    dependencies: tuple[str, ...]
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


class Descriptions:
    """The descriptions of packages, from the index ``root`` and from wherever a name leads."""

    def __init__(self, reader: Reader, root: Location, form: str) -> None:
        self._reader = reader
        self._root = root
        self._form = form

    def load(self, request: Request) -> Draft:
        """Return the description of one package; raises ManifestError."""
        name, version = request
        location = locate_file(name) if name.startswith(FILE) else locate(name, version)
        if location is None:
            listing = self._read(self._indexed(name, version), name)
            if version and listing.version not in ("", version):
                raise ManifestError(f"the index describes version {listing.version!r} under this name")
            version = version or check_version(listing.version)
        elif mirrored := self._mirrored(request):
            listing = self._read(mirrored, name)
        else:
            listing = self._located(location, name)
        return Draft(name, version, tuple(map(str, listing.dependencies)), listing.sources)

    def latest(self, name: str) -> str:
        """Return the latest version of a package of the index; raises ManifestError."""
        document = parse_json(self._reader.read(self._indexed(name, "").url, MAX_SIZE, name), "its package.json")
        return check_version(str(document.get("version") or ""))

    def _located(self, location: Location, name: str) -> Listing:
        """Return the listing of a package that its name locates: a ``package.json``, its folder, or a single file."""
        if location.path.endswith((".py", ".mpy")):
            target = check_target(location.path.rpartition("/")[2])
            return Listing("", (Source(target, location, ""),), ())
        if not location.path.endswith(".json"):
            location = location.join("package.json")._replace(query=location.query)
        return self._read(location, name)

    def _indexed(self, name: str, version: str) -> Location:
        return self._root.join(f"package/{self._form}/{name}/{version or 'latest'}.json")

    def _mirrored(self, request: Request) -> Location | None:
        """Return where an index on this machine describes a package that does not come from an index."""
        if not self._root.is_file or request.name.startswith(FILE):
            return None
        location = mirror_location(self._root, self._form, request.name, request.version)
        return location if self._reader.exists(location.url) else None

    def _read(self, location: Location, name: str) -> Listing:
        data = self._reader.read(location.url, MAX_SIZE, name)
        return read_listing(data, location.folder, self._root)


def mirror_location(root: Location, form: str, name: str, version: str) -> Location:
    """Return where a mirror describes a package; a name with slashes and colons becomes one name of a folder."""
    if locate(name) is not None:
        name, version = (quote(text, safe="").replace("%", "=") for text in (name, version))
    return root._replace(path=f"package/{form}/{name}/{version or 'latest'}.json")
