"""GET, for servers that are slow, broken or hostile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from romfs_manifest.crew import WORKERS
from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

REDIRECTS = 5
_RETRIES = Retry(total=3, backoff_factor=0.25)
_TIMEOUT = Timeout(connect=10, read=20)
_DEADLINE = 60.0
"""Seconds that one answer may take, however steadily it drips."""
_CHUNK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (429, 500, 502, 503, 504)
_OK, _NOT_FOUND = 200, (404, 410)


class Web:
    """Connections that are kept and used again, by several threads at once.

    Everything comes by https; from the site of ``index``, which somebody named, by what its address says.
    """

    def __init__(self, index: str) -> None:
        self._index = _origin(index)
        headers = {"Accept-Encoding": "identity", "User-Agent": "romfs-manifest"}
        self._pool = PoolManager(num_pools=WORKERS, maxsize=WORKERS, headers=headers, timeout=_TIMEOUT)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def get(self, url: str, limit: int) -> bytes:
        """Return what is at ``url``, ``limit`` bytes at most; raises ManifestError.

        What may pass, a lost connection or a server at its limits, is tried again a few times.
        """
        retries = _RETRIES
        while True:
            try:
                return self._followed(url, limit)
            except SSLError as error:  # noqa: PERF203 - a GET is what costs
                raise ManifestError(f"{url}: no trust in its server: {error}") from error
            except ValueError as error:
                raise ManifestError(f"{url}: it leads to what is no address: {error}") from error
            except HTTPError as error:
                try:
                    retries = retries.increment(method="GET", url=url, error=error)
                except MaxRetryError:
                    raise ManifestError(f"{url}: {_plain(error)}", hint="Is there a network? Try again.") from error
                retries.sleep()

    def _followed(self, url: str, limit: int) -> bytes:
        here = url
        for _ in range(REDIRECTS + 1):
            self._check_scheme(here, url)
            answer = self._pool.request("GET", here, redirect=False, retries=False, preload_content=False)
            try:
                target = answer.headers.get("Location") if answer.status in _REDIRECTS else None
                if target is None:
                    return _body(answer, url, limit)
            finally:
                answer.close()  # a connection whose answer was read to its end is back in the pool already
            onward = urljoin(here, target)
            if urlsplit(onward).scheme != urlsplit(here).scheme:
                raise ManifestError(f"{url}: redirected to {onward[:200]!r}, which is another scheme")
            here = onward
        raise ManifestError(f"{url}: redirected more than {REDIRECTS} times")

    def _check_scheme(self, here: str, url: str) -> None:
        if urlsplit(here).scheme != "https" and _origin(here) != self._index:
            led = "" if here == url else f", redirected to {here[:200]!r}"
            raise ManifestError(
                f"{url}{led}: must be https", hint="Only an index that you name yourself may be without."
            )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _body(answer: BaseHTTPResponse, url: str, limit: int) -> bytes:
    if answer.status in _NOT_FOUND:
        raise ManifestError(f"{url}: there is no such file")
    if answer.status in _PASSING:
        raise HTTPError(f"the server answered {answer.status}")
    if answer.status != _OK:
        raise ManifestError(f"{url}: the server answered {answer.status}")
    end, data = time.monotonic() + _DEADLINE, bytearray()
    # One piece at a time as it comes: what is read whole can drip for ever, and a server's word on lengths is nothing.
    while piece := answer.read1(_CHUNK, decode_content=False):
        data += piece
        if len(data) > limit:
            raise ManifestError(f"{url}: is larger than {limit:,} bytes")
        if time.monotonic() > end:
            raise ManifestError(f"{url}: took more than {_DEADLINE:.0f} seconds")
    return bytes(data)


def _plain(error: HTTPError) -> str:
    """Return what an error says, without the object that it says it of."""
    return str(error).rpartition(": ")[2] or type(error).__name__
