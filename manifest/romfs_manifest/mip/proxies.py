"""Proxies and certificates that environment variables name."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from urllib3 import PoolManager, ProxyManager, make_headers

from romfs_manifest.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

_BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy for a host, from ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, and ``NO_PROXY``."""
    proxies = getproxies_environment()
    if not proxies or proxy_bypass(host):
        return None
    return proxies.get(scheme) or proxies.get("all") or None


def make_manager(proxy: str | None, context: ssl.SSLContext | None, **options: Any) -> PoolManager:  # noqa: ANN401 - urllib3's
    """Return what makes connections, through ``proxy`` if given; raises UsageError, without the proxy's password."""
    if proxy is None:
        return PoolManager(ssl_context=context, **options)
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port, host = parts.port, parts.hostname
    except ValueError:
        port = host = None
        parts = urlsplit("")
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError("the proxy in the environment is not http://HOST:PORT", hint="Correct HTTPS_PROXY.")
    shown = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
    headers = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = make_headers(proxy_basic_auth=login)
    return ProxyManager(address, proxy_headers=headers, ssl_context=context, proxy_ssl_context=context, **options)


def make_context() -> ssl.SSLContext:
    """Return a TLS context with the certificates of the system, or those that a variable names; raises UsageError."""
    for variable in _BUNDLES:
        if path := os.environ.get(variable):
            try:
                if os.path.isdir(path):  # noqa: PTH112 - a variable is text
                    return ssl.create_default_context(capath=path)
                return ssl.create_default_context(cafile=path)
            except (OSError, ssl.SSLError):
                raise UsageError(
                    f"{variable} names {path}, which contains no certificates", hint="Correct or unset it."
                ) from None
    return ssl.create_default_context()
