"""Tokens for private repositories and indexes, from the environment or a netrc file.

A token belongs to one host and is sent to that host over https only. No message of this module contains one: an
error must not print what it could not read.
"""

from __future__ import annotations

import base64
import netrc
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from romfs_manifest.errors import UsageError

TOKENS = "ROMFS_TOKENS"
"""Environment variable with tokens: ``HOST=TOKEN``, separated by spaces; a host can have a port."""
_PROVIDERS = {
    "raw.githubusercontent.com": ("GITHUB_TOKEN", "github.com"),
    "gitlab.com": ("GITLAB_TOKEN", "gitlab.com"),
    "codeberg.org": ("CODEBERG_TOKEN", "codeberg.org"),
}
"""For each host of a provider: its environment variable, and the host that a netrc file may name instead."""
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Credentials:
    """Tokens by host, read once."""

    def __init__(self) -> None:
        """Read the environment and the netrc file; raises UsageError if they are malformed."""
        self._tokens = _read_variable()
        self._logins = _read_netrc()

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers that authorize a request, if there is a token for its host."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https":
            return {}
        variable, alias = _PROVIDERS.get(host, ("", host))
        token = self._tokens.get(host if parts.port in (None, 443) else f"{host}:{parts.port}")
        if not token and variable and parts.port in (None, 443):
            token = _check(os.environ.get(variable, "").strip(), variable)
        login = self._logins.get(host) or self._logins.get(alias)
        if host == "gitlab.com" and (token or login):  # which does not take the usual header for files
            return {"PRIVATE-TOKEN": token or (login or ("", ""))[1]}
        if token:
            return {"Authorization": f"Bearer {token}"}
        if login:
            pair = base64.b64encode(":".join(login).encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def _read_variable() -> dict[str, str]:
    tokens = {}
    for item in os.environ.get(TOKENS, "").split():
        host, equals, token = item.partition("=")
        if not (host and equals and token):
            raise UsageError(f"{TOKENS} is malformed", hint="Write HOST=TOKEN, separated by spaces.")
        tokens[host.lower().removesuffix(":443")] = _check(token, TOKENS)
    return tokens


def _read_netrc() -> dict[str, tuple[str, str]]:
    named = os.environ.get("NETRC")
    try:
        path = Path(named) if named else Path.home() / ("_netrc" if os.name == "nt" else ".netrc")
        if not path.is_file():
            return {}
        hosts = netrc.netrc(path).hosts
    except (OSError, RuntimeError):  # there is no home folder
        return {}
    except (netrc.NetrcParseError, UnicodeDecodeError):  # whose message can contain a token
        raise UsageError(f"{path} is malformed", hint="Correct it, or set NETRC to another file.") from None
    # The 'default' entry is for any host, so no host gets it.
    return {
        host.lower(): (_check(login or "", "netrc"), _check(password or "", "netrc"))
        for host, (login, _, password) in hosts.items()
        if host != "default"
    }


def _check(token: str, source: str) -> str:
    """Return ``token``; raises UsageError if it cannot be sent, without showing it."""
    if token and not _TOKEN.fullmatch(token):
        raise UsageError(f"a token in {source} contains characters that cannot be sent")
    return token
