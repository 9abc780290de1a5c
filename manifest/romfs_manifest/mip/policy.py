"""Which addresses may be contacted: the same rule when a lock is made, when it is read, and for redirects.

Everything comes over https. A host that looks like one of this machine or of a private network is contacted only if
the user named it, as the index or in a dependency: a package, a redirect, or a forged lock must not reach it. The one
exception for plain http is an index that the user names each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError, UsageError
from romfs_manifest.mip.names import FILE, Location, Request, locate, locate_file, locate_site, parse_request, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

INDEX_VARIABLE = "ROMFS_INDEX"
_PRIVATE = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".private", ".home.arpa")
_NUMERIC = re.compile(r"0x[0-9a-f]*|[0-9]+")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be contacted: ``index`` is the root of the index, ``named`` are the sites that dependencies name."""

    index: str
    named: frozenset[str]

    def check(self, url: str) -> None:
        """Raise ManifestError if an address, which a package or a lock names, must not be contacted."""
        location = locate(url)
        if location is None:
            raise ManifestError(f"{redact(url)!r} is not an https address")
        self._check_site(location.root, url)

    def check_redirect(self, url: str) -> None:
        """Raise ManifestError if a redirect must not be followed.

        The query may contain a credential, because a redirect is neither locked nor shown.
        """
        self._check_site(locate_site(url), url)

    def _check_site(self, site: str, url: str) -> None:
        if site.startswith("http:") and site != self.index:
            raise ManifestError(
                f"{redact(url)}: must be https", hint="Only an index that you name yourself can use plain http."
            )
        if is_private(site) and site not in {self.index, *self.named}:
            raise ManifestError(
                f"{redact(url)}: packages cannot name an address of this machine or of a private network",
                hint="If you trust it, name the host yourself, as the index or in a dependency.",
            )

    def check_file(self, url: str, package: str) -> None:
        """Raise ManifestError if a file of ``package`` must not come from ``url``, which can be ``file:``."""
        if not url.startswith(FILE):
            self.check(url)
        elif not any(_is_below(url, folder) for folder in self.folders(package)):
            raise ManifestError(f"{url[:200]!r} is not in the folder of the package")

    def folders(self, package: str) -> tuple[str, ...]:
        """Return the ``file:`` folders that files of ``package`` can come from."""
        own = (locate_file(package).root,) if package.startswith(FILE) else ()
        return (*own, self.index) if self.index.startswith(FILE) else own


def make_policy(index: str, requests: Iterable[Request | str]) -> Policy:
    """Return the policy for an index and what a project asks for; raises ManifestError for an invalid request."""
    locations = (locate(parse_request(str(request)).name) for request in requests)
    named = frozenset(location.root for location in locations if location and location.root.startswith("http"))
    return Policy(locate_index(index).root, named)


def locate_index(index: str) -> Location:
    """Return where an index is; raises ManifestError."""
    index = index.rstrip("/")
    if index.startswith(FILE):
        path = index.removeprefix(FILE)
        path = path.removeprefix("//") if path.startswith("///") else path
        path = path.removeprefix("/") if re.match("/[A-Za-z]:/", path) else path  # file:///C:/FOLDER
        if not path or any(ord(character) < 32 for character in path):  # noqa: PLR2004 - control characters
            raise ManifestError(f"{index[:200]!r} is not a folder", hint="Write file:FOLDER, or file:///FOLDER.")
        return Location(f"{FILE}{path}", "")
    location = locate(index)
    if location is None or not location.root.startswith("http") or location.query:
        raise ManifestError(
            f"{redact(index)!r} is not the address of an index", hint="Write https://HOST/PATH, or file:FOLDER."
        )
    return location


def index_url(index: str) -> str:
    """Return the one way in which a lock writes the address of an index; raises ManifestError."""
    location = locate_index(index)
    return location.root if location.is_file else location.url.rstrip("/")


def check_named(index: str, named: str | None) -> None:
    """Raise UsageError if the index of a lock must be named by the user, and is not.

    That is so for plain http, and for a host of this machine or of a private network: a forged lock could name them.
    """
    root = locate_index(index).root
    if not (root.startswith("http:") or is_private(root)) or (named and index_url(named) == index):
        return
    kind = "a private address" if root.startswith("https:") else "not https"
    raise UsageError(
        f"the lock was made from {index}, which is {kind}",
        hint=f"If you trust it, name it again: --index {index}, or set {INDEX_VARIABLE} to it.",
    )


def is_private(root: str) -> bool:
    """Return whether the host of a site looks like one of this machine or of a private network."""
    scheme, _, rest = root.partition("://")
    if not scheme.startswith("http"):
        return False
    if rest.startswith("["):
        return True
    host = rest.partition(":")[0].rstrip(".")
    return "." not in host or host.endswith(_PRIVATE) or bool(_NUMERIC.fullmatch(host.rpartition(".")[2]))


def _is_below(url: str, folder: str) -> bool:
    return url.startswith(f"{folder}/") and ".." not in url.removeprefix(folder).split("/")
