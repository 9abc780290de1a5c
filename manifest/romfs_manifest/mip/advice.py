"""What to do about a failed request, by kind of failure."""

from __future__ import annotations

from http.client import InvalidURL
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.credentials import TOKENS

if TYPE_CHECKING:
    from urllib3.exceptions import HTTPError

FAILED = "The server is misconfigured; try again later, or use another index."
_CONNECT = "Check your network connection, then try again."
_TOKEN = f"For a private repository, name a token in {TOKENS}, GITHUB_TOKEN, GITLAB_TOKEN, or a netrc file."
_CERTIFICATE = (
    "If a proxy or a private server uses its own certificates, name them in SSL_CERT_FILE or REQUESTS_CA_BUNDLE."
)
_PROXY = "Check HTTPS_PROXY and NO_PROXY."


def explain_status(url: str, status: int, *, has_token: bool = False, wait: float | None = None) -> ManifestError:
    """Return the error for an answer with this status."""
    match status:
        case 401 | 403:
            rejected = "Check the token; the server rejected it." if has_token else _TOKEN
            return ManifestError(f"{url}: access denied (status {status})", hint=rejected)
        case 404 | 410:
            return ManifestError(f"{url}: no such file", hint=f"Check the name and the version. {_TOKEN}")
        case 407:
            return ManifestError(f"{url}: the proxy denied access (status 407)", hint=_PROXY)
        case 429:
            pause = f"Wait {wait:,.0f} seconds" if wait else "Wait a few minutes"
            return ManifestError(f"{url}: too many requests (status 429)", hint=f"{pause}, or use a token. {_TOKEN}")
        case _ if status >= 500:  # noqa: PLR2004 - errors of servers
            pause = f" It asks to wait {wait:,.0f} seconds." if wait else ""
            return ManifestError(
                f"{url}: the server failed (status {status})", hint=f"Try again later; nothing is wrong here.{pause}"
            )
        case _:
            return ManifestError(f"{url}: the server answered with status {status}", hint=FAILED)


def explain_error(url: str, error: HTTPError) -> ManifestError:
    """Return the error for a request that got no answer."""
    text = _reason(error)
    if isinstance(error, ProxyError) or "Tunnel connection failed" in str(error):
        return ManifestError(f"{url}: the proxy failed: {text}", hint=_PROXY)
    if isinstance(error, SSLError):
        return ManifestError(f"{url}: TLS certificate verification failed: {text}", hint=_CERTIFICATE)
    if isinstance(error, NameResolutionError):
        return ManifestError(f"{url}: the host name cannot be resolved", hint=f"Check its spelling. {_CONNECT}")
    if isinstance(error, NewConnectionError):  # which is also a ConnectTimeoutError
        return ManifestError(f"{url}: the server cannot be reached: {text}", hint=_CONNECT)
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return ManifestError(f"{url}: timed out", hint="Try again later.")
    return ManifestError(f"{url}: {text}", hint=_CONNECT)


def _reason(error: HTTPError) -> str:
    """Return what an error says, without the object that it is about."""
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error
    if isinstance(cause, InvalidURL):  # which contains the address, perhaps that of a redirect with a token
        return "the address is invalid"
    return str(cause).rpartition(": ")[2][:200] or type(cause).__name__
