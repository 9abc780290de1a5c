"""GET requests to servers that can be slow, broken, or hostile."""

from __future__ import annotations

import http.client
import io
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.advice import FAILED, explain_error, explain_status
from romfs_manifest.mip.credentials import Credentials
from romfs_manifest.mip.proxies import make_context, make_manager, proxy_for
from romfs_manifest.mip.workers import WORKERS

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from romfs_manifest.mip.policy import Policy

MAX_REDIRECTS = 5
_RETRIES = Retry(total=3, backoff_factor=0.25)
_TIMEOUT = Timeout(connect=10, read=20)
_DEADLINE = 60.0
"""Seconds for a whole answer: redirects, headers, body, and trailers, however steadily they arrive."""
_MAX_WAIT = 30.0
"""Seconds to wait because a server asks for it with ``Retry-After``; for more, the request fails."""
_CHUNK = 1 << 16
_OVERHEAD = 1 << 20
"""Bytes of headers, chunk sizes, and trailers that an answer may have."""
_REDIRECTS = (301, 302, 303, 307, 308)
_TEMPORARY = (429, 500, 502, 503, 504)
_OK = 200


class _TooSlowError(Exception):
    """An answer was not complete at its deadline."""


class _TooLongError(Exception):
    """An answer has more bytes than its body may have, headers and trailers included."""


class _TemporaryError(HTTPError):
    """The server failed and may succeed later; ``wait`` are the seconds that it asks to wait, if any."""

    def __init__(self, status: int, wait: float | None) -> None:
        super().__init__(f"status {status}")
        self.status, self.wait = status, wait


class _Limits(threading.local):
    """Limits of the answer that the current thread waits for."""

    deadline = 0.0
    size = 0


_limits = _Limits()


class _LimitedStream(io.RawIOBase):
    """The bytes from a socket until the limits of the answer."""

    def __init__(self, sock: Any) -> None:  # noqa: ANN401 - a socket, or one of TLS in TLS
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)  # which keeps the socket open
        self._deadline, self._left = _limits.deadline, _limits.size + _OVERHEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any writable buffer
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise _TooSlowError
        if self._left <= 0:
            raise _TooLongError
        self._socket.settimeout(min(remaining, float(_TIMEOUT.read_timeout or _DEADLINE)))
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            if time.monotonic() >= self._deadline:
                raise _TooSlowError from None
            raise
        self._left -= count or 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _LimitedSocket:
    """A socket as ``http.client`` reads an answer from it."""

    def __init__(self, sock: Any) -> None:  # noqa: ANN401
        self._socket = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_LimitedStream(self._socket))


class _LimitedResponse(http.client.HTTPResponse):
    """An answer whose headers and trailers are also within the limits."""

    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as http.client gives them
        super().__init__(_LimitedSocket(sock), *arguments, **named)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _LimitedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _LimitedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Client:
    """Connections that are kept and used again, by several threads at once.

    ``policy`` decides which addresses may be contacted.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._credentials = Credentials()
        self._managers: dict[tuple[str, str | None], PoolManager] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        for manager in self._managers.values():
            manager.clear()

    def get(self, url: str, limit: int) -> bytes:
        """Return what is at ``url``, at most ``limit`` bytes; raises ManifestError.

        A request is repeated a few times after a failure that may be temporary.
        """
        retries = _RETRIES
        while True:
            try:
                return self._follow(url, limit)
            except _TooSlowError:  # noqa: PERF203 - a request is what takes time
                raise ManifestError(f"{url}: took more than {_DEADLINE:.0f} seconds", hint="Try again later.") from None
            except _TooLongError:
                raise _too_large(url, limit) from None
            except SSLError as error:
                raise explain_error(url, error) from None
            except ValueError:  # its message can contain what a server sent
                raise ManifestError(f"{url}: the server sent an invalid address") from None
            except HTTPError as error:
                wait = error.wait if isinstance(error, _TemporaryError) else None
                failure = self._failure(url, error)
                if wait is not None and wait > _MAX_WAIT:
                    raise failure from None
                try:
                    retries = retries.increment(method="GET", url=url, error=error)
                except MaxRetryError:
                    raise failure from None
                time.sleep(retries.get_backoff_time() if wait is None else wait)

    @staticmethod
    def _failure(url: str, error: HTTPError) -> ManifestError:
        if isinstance(error, _TemporaryError):
            return explain_status(url, error.status, wait=error.wait)
        return explain_error(url, error)

    def _follow(self, url: str, limit: int) -> bytes:
        _limits.deadline, _limits.size = time.monotonic() + _DEADLINE, limit * 2
        here, origin, credentials = url, urlsplit(url)[:2], self._credentials.headers(url)
        self._policy.check(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._request(here, credentials)
            try:
                target = answer.headers.get("Location") if answer.status in _REDIRECTS else None
                if target is None:
                    return _body(answer, url, limit, has_token=bool(credentials))
            finally:
                answer.close()  # a connection whose answer was read completely is in the pool again already
            here = self._redirected(url, here, target)
            if urlsplit(here)[:2] != origin:
                credentials = {}  # for the rest of the way, even if it comes back
        raise ManifestError(f"{url}: redirected more than {MAX_REDIRECTS} times")

    def _redirected(self, url: str, here: str, target: str) -> str:
        onward = urldefrag(urljoin(here, target)).url
        if urlsplit(onward).scheme != urlsplit(here).scheme:
            raise ManifestError(f"{url}: redirected to another scheme, {urlsplit(onward).scheme[:20]!r}")
        try:
            self._policy.check_redirect(onward)
        except ManifestError as error:
            raise ManifestError(f"{url}: redirected to {error.message}", hint=error.hint) from None
        return onward

    def _request(self, url: str, credentials: dict[str, str]) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "romfs-manifest", **credentials}
        site = urlsplit(url)[:2]
        if site not in self._proxies:
            self._proxies[site] = proxy_for(*site)
        manager = self._manager(site[0], self._proxies[site])
        return manager.request(
            "GET", url, headers=headers, redirect=False, retries=False, preload_content=False, timeout=_TIMEOUT
        )

    def _manager(self, scheme: str, proxy: str | None) -> PoolManager:
        with self._lock:
            if (scheme, proxy) not in self._managers:
                # Plain http without a proxy needs no certificates, which take time and memory to load.
                context = make_context() if scheme == "https" or proxy else None
                manager = make_manager(proxy, context, num_pools=WORKERS, maxsize=WORKERS)
                manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
                self._managers[scheme, proxy] = manager
            return self._managers[scheme, proxy]


def _body(answer: BaseHTTPResponse, url: str, limit: int, *, has_token: bool) -> bytes:
    if answer.status in _TEMPORARY:
        raise _TemporaryError(answer.status, _retry_after(answer.headers.get("Retry-After")))
    if answer.status != _OK:
        raise explain_status(url, answer.status, has_token=has_token)
    encodings = f"{answer.headers.get('Content-Encoding', '')},{answer.headers.get('Transfer-Encoding', '')}"
    if {encoding.strip().lower() for encoding in encodings.split(",")} - {"", "identity", "chunked"}:
        raise ManifestError(f"{url}: the server compressed the answer, which was not asked for", hint=FAILED)
    data = bytearray()
    # Piece by piece: a server that promises a length can send another one.
    while piece := answer.read1(_CHUNK, decode_content=False):
        data += piece
        if len(data) > limit:
            raise _too_large(url, limit)
    return bytes(data)


def _too_large(url: str, limit: int) -> ManifestError:
    return ManifestError(f"{url}: has more than {limit:,} bytes")


def _retry_after(text: str | None) -> float | None:
    """Return how many seconds a server asks to wait: a number, or the time until a date."""
    if text is None:
        return None
    try:
        if text.strip().isdigit():
            return float(text)
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
