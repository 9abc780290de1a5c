"""Names of packages, and the URLs that they lead to.

A package is named as mip names it. ``NAME`` or ``NAME@VERSION`` is a package of the index.
``github:OWNER/REPO/PATH@REF`` (or ``gitlab:``, ``codeberg:``) and ``https://…`` are a ``package.json``, a folder that
contains one, or a single ``.py`` or ``.mpy``. ``file:PATH`` is the same on this machine; only the project itself can
ask for it.
"""

from __future__ import annotations

import re
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import quote, unquote

from romfs_manifest.errors import ManifestError

_RAW_FILES = {
    "github": "https://raw.githubusercontent.com/{repository}/{ref}/{path}",
    "gitlab": "https://gitlab.com/{repository}/-/raw/{ref}/{path}",
    "codeberg": "https://codeberg.org/api/v1/repos/{repository}/raw/{path}?ref={ref}",
}
_IGNORE_CASE = ("github", "gitlab")
"""Providers to which a repository has the same name in upper and lower case."""
_MAX_NAME = 500
"""Maximum length of a name, in characters."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9+_-]|[./](?![./])){0,99}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_PATH = re.compile(r"[A-Za-z0-9._~/%!$&'()*+,;=:@-]*")
_QUERY = re.compile(r"[A-Za-z0-9._~/%!$&'()*+,;=:@?-]*")
_SITE = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_FILE = re.compile(r"[^\x00-\x1f\x7f\\:@?#%]+")
_SECRET = re.compile(
    r"(?:^|&)(?:[^=&]*[_-])?(?:token|secret|password|passwd|pwd|api_?key|key|sig|signature|credentials?|auth|jwt)=",
    re.IGNORECASE,
)
_AUTHORITY_END = re.compile(r"[/?#\\]")
_USER = re.compile(r"(?<=//).*@", re.DOTALL)
_NO_PORT = re.compile(r"(?<=//)([^/\[\]:]*):(?![0-9]{1,5}(?:/|$)).*", re.DOTALL)
FILE = "file:"
_HINT = "Write NAME, NAME@VERSION, github:OWNER/REPO/PATH@REF, https://…, or a path that begins with './'."


class Request(NamedTuple):
    """A package that somebody asks for; an empty ``version`` stands for any.

    Each package has exactly one ``name``, so equal names are equal packages.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


class Location(NamedTuple):
    """A file or folder that can be fetched: ``path`` in ``root``, which is a repository, a site, or a folder.

    ``root`` is ``github:owner/repo``, ``https://host``, or ``file:folder``. Only a repository has a ``ref``; an empty
    one is its default branch. Only a site has a ``query``.
    """

    root: str
    path: str
    ref: str = ""
    query: str = ""

    @property
    def url(self) -> str:
        """The URL of the location."""
        provider, _, repository = self.root.partition(":")
        if provider in _RAW_FILES:
            return _RAW_FILES[provider].format(repository=repository, ref=quote(self.ref or "HEAD"), path=self.path)
        return f"{self.root}/{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def is_file(self) -> bool:
        """Whether it lies on this machine."""
        return self.root.startswith(FILE)

    @property
    def folder(self) -> Location:
        """The folder that contains it."""
        return self._replace(path=self.path.rpartition("/")[0], query="")

    def join(self, relative: str) -> Location:
        """Return where ``relative`` leads from this folder; raises ManifestError if that is outside its root."""
        text, _, query = relative.partition("?")
        names = [name for name in self.path.split("/") if name]
        for part in text.split("/"):
            if part == "..":
                if not names:
                    raise ManifestError(f"{relative!r} leads out of {self.root}")
                names.pop()
            elif part not in ("", "."):
                names.append(part)
        path = "/".join(names)
        if self.is_file:
            return self._replace(path=_check_file(path))
        if query and not self.root.startswith("http"):
            raise ManifestError(f"{relative!r} has a query, which a file in a repository cannot have")
        return self._replace(path=_check_path(path), query=_check_query(query))


def parse_request(text: str) -> Request:
    """Return what a dependency such as ``aiohttp@0.0.3`` asks for; raises ManifestError."""
    if text.startswith(("https:", "http:")):
        return make_request(text, "")  # '@' is part of the address
    if text.startswith((FILE, "./", "../", ".\\", "..\\")):
        return Request(_file_name(text), "")
    name, _, version = text.partition("@")
    return make_request(name, version)


def make_request(name: str, version: str) -> Request:
    """Return what a name and a version in a ``package.json`` ask for; raises ManifestError."""
    if len(name) > _MAX_NAME:
        raise ManifestError(f"{name[:50]!r}… is too long for the name of a package")
    location = locate(name)
    if location is None:
        version = "" if version == "latest" else version
        if not _NAME.fullmatch(name):
            raise ManifestError(f"{redact(name)!r} is not the name of a package", hint=_HINT)
        return Request(name, check_version(version))
    if location.root.startswith("http"):
        version = ""  # an address has none
    path = location.path.rstrip("/")
    if path == "package.json" or path.endswith("/package.json"):
        path = path.removesuffix("package.json").rstrip("/")
    query = f"?{location.query}" if location.query else ""
    return Request(f"{location.root}/{path}".rstrip("/") + query, check_version(version))


def check_version(version: str) -> str:
    """Return a version, branch, tag, commit, or empty string; raises ManifestError for anything else."""
    if version and not _VERSION.fullmatch(version):
        raise ManifestError(f"{version[:100]!r} is not a version, branch, tag, or commit")
    return version


def parse_requests(texts: object) -> tuple[Request, ...]:
    """Return what the dependencies of a project ask for, sorted and without duplicates; raises ManifestError."""
    if isinstance(texts, str) or not isinstance(texts, list | tuple | set | frozenset):
        raise ManifestError("dependencies must be a list of strings")
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise ManifestError(f"dependencies must be a list of strings; one is of type {type(wrong[0]).__name__}")
    return tuple(sorted({parse_request(text) for text in texts}))


def locate(text: str, ref: str = "") -> Location | None:
    """Return where a name or an address leads; None for a package of the index and for a relative path.

    Raises ManifestError for an address that is not well-formed.
    """
    provider, _, rest = text.partition(":")
    if provider in _RAW_FILES:
        owner, _, rest = rest.partition("/")
        repository, _, path = rest.partition("/")
        name = f"{owner}/{repository}"
        if not _REPOSITORY.fullmatch(name):
            raise ManifestError(f"{redact(text)!r} must be {provider}:OWNER/REPO or {provider}:OWNER/REPO/PATH")
        return Location(f"{provider}:{name.lower() if provider in _IGNORE_CASE else name}", _check_path(path), ref)
    if text.startswith(("https://", "http://")):
        root = locate_site(text)
        if "\\" in text or "#" in text:
            raise ManifestError(f"{redact(text)!r} must not contain a backslash or '#'")
        rest, _, query = text.partition("://")[2].partition("?")
        return Location(root, _check_path(rest.partition("/")[2]), query=_check_query(query))
    return None


def locate_site(url: str) -> str:
    """Return the scheme and the host of an address; raises ManifestError if it is not well-formed."""
    scheme, _, rest = url.partition("://")
    root = f"{scheme}://{_AUTHORITY_END.split(rest)[0]}".lower()
    if not _SITE.fullmatch(root):
        raise ManifestError(f"{redact(url)!r} must be https://HOST/PATH, without a user and a password")
    return root.removesuffix(":443" if scheme == "https" else ":80")


def locate_file(name: str) -> Location:
    """Return where a name that begins with ``file:`` leads: the folder of its ``package.json``, or the file itself."""
    path = name.removeprefix(FILE)
    folder, _, base = path.rpartition("/")
    if base.endswith((".json", ".py", ".mpy")):
        return Location(f"{FILE}{folder or '.'}", base)
    return Location(name, "package.json")


def locate_source(text: str, folder: Location) -> Location:
    """Return where a file of a package is, whose ``package.json`` is in ``folder``; raises ManifestError.

    A path is relative to that folder. The ref of the package applies in its own repository only.
    """
    provider = text.partition(":")[0]
    address, _, ref = text.partition("@") if provider in _RAW_FILES else (text, "", "")
    location = locate(address, check_version(ref))
    if location is None:
        if ":" in text or text.startswith("/"):
            raise ManifestError(f"the file {redact(text)!r} is neither a relative path nor an https address")
        return folder.join(text)
    return location._replace(ref=folder.ref) if location.root == folder.root and not ref else location


def redact(text: str) -> str:
    """Return an address for a message, without a user, a password, and a query."""
    return _NO_PORT.sub(r"\1:…", _USER.sub("", text).partition("?")[0])[:300]


def _file_name(text: str) -> str:
    path = text.removeprefix(FILE).replace("\\", "/")
    if path.startswith("/") or not _FILE.fullmatch(path):
        raise ManifestError(
            f"{text[:200]!r} must be a path relative to the project",
            hint="Write './FOLDER' or './FOLDER/package.json'.",
        )
    path = normpath(path)
    return f"{FILE}{path.removesuffix('/package.json') if path != 'package.json' else '.'}"


def _check_file(path: str) -> str:
    if path and not _FILE.fullmatch(path):
        raise ManifestError(f"the path {path!r:.300} contains characters that a package cannot use")
    return path


def _check_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ManifestError(f"the path {path!r:.300} contains characters that an address must encode")
    parts = [unquote(part) for part in path.split("/")]
    if any(part in (".", "..") or "/" in part or "\\" in part for part in parts):
        raise ManifestError(f"the path {path!r} must not contain '.' or '..'")
    return path


def _check_query(query: str) -> str:
    if not _QUERY.fullmatch(query):
        raise ManifestError("the query of an address contains characters that it must encode")
    if _SECRET.search(unquote(query)):  # it would be written into the lock
        raise ManifestError(
            "the query of an address contains a credential",
            hint="Remove it, and name the token in the environment variable ROMFS_TOKENS or in a netrc file.",
        )
    return query
