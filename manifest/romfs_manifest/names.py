"""What a dependency is called, and the URLs that names lead to.

A package is named as mip names it: ``NAME`` or ``NAME@VERSION`` is one of an index, ``github:OWNER/REPO/PATH@REF``
(or gitlab, codeberg) and ``https://…`` are a ``package.json``, the folder of one, or a single ``.py`` or ``.mpy``.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from romfs_manifest.errors import ManifestError

_RAW_FILES = {
    "github": "https://raw.githubusercontent.com/{repository}/{ref}/{path}",
    "gitlab": "https://gitlab.com/{repository}/-/raw/{ref}/{path}",
    "codeberg": "https://codeberg.org/api/v1/repos/{repository}/raw/{path}?ref={ref}",
}
_LONGEST = 500
"""Characters of a name, at most."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9+_-]|[./](?![./])){0,99}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_PATH = re.compile(r"[A-Za-z0-9._~/%!$&'()*+,;=:@-]*")
_SITE = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class Request(NamedTuple):
    """A package that somebody asks for; ``version`` is empty where any will do.

    ``name`` is written in one way only, so that equal packages have equal names.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


class Location(NamedTuple):
    """A file or a folder that can be fetched: ``path`` in the ``root``, a repository or a site.

    ``root`` is ``github:owner/repo`` or ``https://host``; only a repository has a ``ref``, and an empty one is its
    default branch.
    """

    root: str
    path: str
    ref: str = ""

    @property
    def url(self) -> str:
        """The URL it is fetched from."""
        provider, _, repository = self.root.partition(":")
        if provider not in _RAW_FILES:
            return f"{self.root}/{self.path}"
        return _RAW_FILES[provider].format(repository=repository, ref=quote(self.ref or "HEAD"), path=self.path)

    @property
    def folder(self) -> Location:
        """The folder that it lies in."""
        return self._replace(path=self.path.rpartition("/")[0])

    def joined(self, relative: str) -> Location:
        """Return what ``relative`` leads to from this folder, which is never out of its root; raises ManifestError."""
        names = [name for name in self.path.split("/") if name]
        for part in relative.split("/"):
            if part == "..":
                if not names:
                    raise ManifestError(f"{relative!r} leads out of {self.root}")
                names.pop()
            elif part not in ("", "."):
                names.append(part)
        return self._replace(path=_checked_path("/".join(names)))


def parse_request(text: str) -> Request:
    """Return what a dependency such as ``aiohttp@0.0.3`` asks for; raises ManifestError."""
    if text.startswith(("https:", "http:")):
        return request(text, "")  # where an '@' is part of the address
    name, _, version = text.partition("@")
    return request(name, version)


def request(name: str, version: str) -> Request:
    """Return what a name and a version, as a ``package.json`` has them, ask for; raises ManifestError."""
    if len(name) > _LONGEST:
        raise ManifestError(f"{name[:50]!r}… is too long for the name of a package")
    location = locate(name)
    if location is None:
        version = "" if version == "latest" else version
        if not _NAME.fullmatch(name):
            raise ManifestError(
                f"{name!r} is not the name of a package",
                hint="Write NAME or NAME@VERSION, github:OWNER/REPO/PATH@REF, or https://…; files are not named here.",
            )
    else:
        path = f"/{location.path}".removesuffix("/package.json").strip("/")
        name = f"{location.root}/{path}".rstrip("/")
        if location.root.startswith("http"):
            version = ""  # as in mip: an address has none
    return Request(name, checked_version(version))


def checked_version(version: str) -> str:
    """Return a version, a branch, a tag or a commit, or an empty string; raises ManifestError for anything else."""
    if version and not _VERSION.fullmatch(version):
        raise ManifestError(f"{version[:100]!r} is not a version, a branch, a tag or a commit")
    return version


def requests_of(texts: object) -> tuple[Request, ...]:
    """Return what a project's dependencies ask for, each once, in order; raises ManifestError."""
    if isinstance(texts, str) or not isinstance(texts, list | tuple | set | frozenset):
        raise ManifestError("dependencies must be a list of strings")
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise ManifestError(f"dependencies must be a list of strings; one is of type {type(wrong[0]).__name__}")
    return tuple(sorted({parse_request(text) for text in texts}))


def locate(text: str, ref: str = "") -> Location | None:
    """Return where a name or an address leads, None for what is neither in a repository nor on the web.

    Raises ManifestError for an address that is not well formed.
    """
    provider, _, rest = text.partition(":")
    if provider in _RAW_FILES:
        owner, _, rest = rest.partition("/")
        repository, _, path = rest.partition("/")
        if not _REPOSITORY.fullmatch(f"{owner}/{repository}"):
            raise ManifestError(f"{text!r} must be {provider}:OWNER/REPO, and a path if need be")
        return Location(f"{provider}:{owner}/{repository}", _checked_path(path), ref)
    if text.startswith(("https://", "http://")):
        scheme, _, rest = text.partition("://")
        host, _, path = rest.partition("/")
        root = f"{scheme}://{host}".lower()
        if not _SITE.fullmatch(root):
            raise ManifestError(f"{text!r} must be https://HOST/PATH, without a user and a password")
        return Location(root, _checked_path(path))
    return None


def source(text: str, folder: Location) -> Location:
    """Return where a file of a package lies, whose ``package.json`` is in ``folder``; raises ManifestError.

    What has no address of its own counts from that folder. The package's ref holds in its own repository only.
    """
    provider = text.partition(":")[0]
    address, _, ref = text.partition("@") if provider in _RAW_FILES else (text, "", "")
    location = locate(address, checked_version(ref))
    if location is None:
        if ":" in text or text.startswith("/"):
            raise ManifestError(f"the file {text!r} is neither relative nor in a repository nor an https address")
        return folder.joined(text)
    return location._replace(ref=folder.ref) if location.root == folder.root and not ref else location


def _checked_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ManifestError(f"the path {path!r:.300} has characters that an address cannot have as they are")
    parts = [unquote(part) for part in path.split("/")]
    if any(part in (".", "..") or "/" in part or "\\" in part for part in parts):
        raise ManifestError(f"the path {path!r} must not have '.' or '..' in it")
    return path
