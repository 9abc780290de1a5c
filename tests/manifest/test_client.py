"""Servers that are slow, broken or hostile."""

import contextlib
import gzip
import re
import time
from email.utils import formatdate

import pytest

from romfs_manifest import ManifestError, make_lock
from romfs_manifest.mip import client as client_module
from romfs_manifest.mip.client import Client
from romfs_manifest.mip.policy import is_private, make_policy
from romfs_manifest.mip.workers import WORKERS
from tests.manifest.server import answer

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def get(index):
    """Get a page that that answers in a given way; another index can be named."""
    opened = []

    def got(page, limit=1000, at=None):
        index.put("/page", page)
        opened.append(client(at or index.url))
        return opened[-1].get(f"{index.site}/page", limit)

    yield got
    for each in opened:
        each.close()


def client(index, *requests):
    """Return a client for what may be contacted with this index and these requests of the project."""
    return Client(make_policy(index, requests))


def http_date(seconds):
    return formatdate(seconds, usegmt=True)


def failing(*statuses):
    left = list(statuses)
    return lambda handler: answer(handler, left.pop(0)) if left else answer(handler, 200, b"at last")


def test_a_temporary_failure_is_tried_again(get, index):
    assert get(failing(500, 503, 429)) == b"at last"
    assert len(index.requests) == 4


def test_a_lasting_failure_ends_after_four_attempts(get, index):
    with pytest.raises(ManifestError, match=r"the server failed \(status 500\)"):
        get(failing(*[500] * 10))
    assert len(index.requests) == 4


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (401, "access denied", "ROMFS_TOKENS"),
        (403, "access denied", "netrc"),
        (404, "no such file", "Check the name and the version."),
        (410, "no such file", "Check the name and the version."),
        (407, "the proxy denied access", "HTTPS_PROXY"),
        (418, "the server answered with status 418", "misconfigured"),
    ],
)
def test_a_permanent_failure_is_not_tried_again_and_gets_advice(status, message, advice, get, index):
    with pytest.raises(ManifestError, match=message) as caught:
        get(failing(status))
    assert advice in str(caught.value.hint)
    assert len(index.requests) == 1


@pytest.fixture
def slept(monkeypatch):
    """The seconds that the client would wait; it does not."""
    waits: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(status, get, index, slept):
    left = ["7", http_date(time.time() + 20), "nonsense"]

    def page(handler):
        if left:
            answer(handler, status, Retry_After=left.pop(0))
        else:
            answer(handler, 200, b"at last")

    assert get(page) == b"at last"
    assert len(index.requests) == 4
    assert slept[0] == 7
    assert 15 < slept[1] <= 20
    assert slept[2] < 1  # its own backoff


def test_a_server_cannot_make_the_client_wait_for_long(get, index, slept):
    with pytest.raises(ManifestError, match=r"too many requests \(status 429\)") as caught:
        get(lambda handler: answer(handler, 429, Retry_After="3600"))
    assert "Wait 3,600 seconds" in str(caught.value.hint)
    with pytest.raises(ManifestError, match=r"the server failed \(status 503\)") as caught:
        get(lambda handler: answer(handler, 503, Retry_After="3600"))
    assert "3,600 seconds" in str(caught.value.hint)
    assert (slept, len(index.requests)) == ([], 2)


def test_a_truncated_answer_is_requested_again(get, index):
    def cut(handler):
        handler.close_connection = True
        body = b"whole" if len(index.requests) > 1 else b"who"
        answer(handler, 200, body, Content_Length="5")

    assert get(cut) == b"whole"
    assert len(index.requests) == 2


def test_an_unreachable_server(index):
    site = index.site
    index.close()
    with pytest.raises(ManifestError, match=re.escape(f"{site}/x: ")) as caught:
        client(site).get(f"{site}/x", 10)
    assert "cannot be reached" in caught.value.message
    assert caught.value.hint == "Check your network connection, then try again."


def test_a_host_that_does_not_exist():
    with pytest.raises(ManifestError, match="the host name cannot be resolved") as caught:
        client("https://nope.example.invalid").get("https://nope.example.invalid/x", 10)
    assert "spelling" in str(caught.value.hint)


@pytest.mark.parametrize("declared", [None, "3", "1001", "99999999999999999999", "-1", "x"])
def test_sizes_are_bounded_whatever_the_server_says(declared, get):
    def endless(handler):
        handler.close_connection = True
        headers = {"Content-Length": declared} if declared else {}
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b"x" * 1000)

    if declared == "3":  # what follows is not part of the answer
        assert get(endless) == b"xxx"
        return
    with pytest.raises(ManifestError, match="has more than 1,000 bytes"):
        get(endless)


def test_an_answer_may_be_chunked_and_is_bounded_too(get):
    def chunked(count):
        def page(handler):
            handler.close_connection = True
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for _ in range(count):
                handler.wfile.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            handler.wfile.write(b"0\r\n\r\n")

        return page

    assert get(chunked(10)) == b"x" * 1000
    with pytest.raises(ManifestError, match="has more than 1,000 bytes"):
        get(chunked(11))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP, identity", "identity, x"])
def test_a_compressed_answer_is_rejected_not_stored(encoding, get, index):
    bomb = gzip.compress(bytes(1 << 20))
    with pytest.raises(ManifestError, match="the server compressed the answer, which was not asked for"):
        get(lambda handler: answer(handler, 200, bomb, Content_Encoding=encoding), 10_000)
    assert get(lambda handler: answer(handler, 200, b"x", Content_Encoding="Identity")) == b"x"
    assert index.headers[0]["Accept-Encoding"] == "identity"


def test_a_compressed_file_is_not_locked(index, lock, cache):
    index.add("a")
    (path,) = index.asked("file") or [path for path in index.pages if "/file/" in path]
    data = index.pages[path]
    index.put(path, lambda handler: answer(handler, 200, gzip.compress(data), Content_Encoding="gzip"))
    with pytest.raises(ManifestError, match="^a 1.0: .*compressed"):
        lock("a")
    assert not cache.exists()


def test_a_server_that_never_answers(get):
    with pytest.raises(ManifestError, match="timed out|took more than"):
        get(lambda _: time.sleep(1))


def drip(*pieces, before=b"HTTP/1.1 200 OK\r\n"):
    """Return a page that sends the first bytes at once, and the others again and again, one after another."""

    def page(handler):
        handler.close_connection = True
        handler.wfile.write(before)
        with contextlib.suppress(OSError):  # the client went away
            for _ in range(200):
                for piece in pieces:
                    handler.wfile.write(piece)
                    handler.wfile.flush()
                    time.sleep(0.02)

    return page


@pytest.mark.parametrize(
    "page",
    [
        drip(b"H", before=b""),
        drip(b"X: y\r\n"),
        drip(b"X", before=b"HTTP/1.1 200 OK\r\nX: "),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", before=b""),
        drip(b"x", before=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        drip(b"1\r\nx\r\n", before=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b"X: y\r\n", before=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"),
        drip(b"0", before=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=["status", "headers", "a header", "100 Continue", "body", "chunks", "trailers", "a chunk's size"],
)
def test_the_deadline_is_for_the_whole_answer(page, get, index):
    begun = time.monotonic()
    with pytest.raises(ManifestError, match="took more than"):
        get(page)
    assert time.monotonic() - begun < 5  # all attempts together
    assert len(index.requests) <= 4


def test_redirects_do_not_extend_the_deadline(get, index):
    def slow(handler):
        time.sleep(0.2)
        answer(handler, 302, Location="/page")

    with pytest.raises(ManifestError, match="took more than"):
        get(slow)
    assert len(index.requests) < 6


def test_endless_headers_and_trailers_are_bounded_in_bytes(get, index):
    """However fast a server sends them."""
    flood = [b"X: " + b"y" * 60_000 + b"\r\n"] * 40
    for start in (b"", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"):
        sent: list[int] = []

        def page(handler, start=start, sent=sent):
            handler.close_connection = True
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + start)
            with contextlib.suppress(OSError):
                for line in flood * 50:
                    handler.wfile.write(line)
                    sent.append(len(line))

        with pytest.raises(ManifestError, match="has more than 1,000 bytes"):
            get(page)
        assert sum(sent) < 20_000_000


def moved(target):
    return lambda handler: answer(handler, 302, Location=target)


def test_redirects_are_followed_on_the_index_itself(get, index):
    index.put("/there", b"found")
    assert get(moved("/there")) == b"found"
    assert get(moved(f"{index.site}/there")) == b"found"


@pytest.mark.parametrize("target", ["http://[", "http://127.0.0.1:x/", "http://\x00/"])
def test_redirects_to_an_invalid_address(target, get):
    with pytest.raises(ManifestError, match="invalid address|redirected to"):
        get(moved(target))


def test_redirects_end(get, index):
    with pytest.raises(ManifestError, match="redirected more than 5 times"):
        get(moved("/page"))
    assert len(index.requests) == 6


@pytest.mark.parametrize("target", ["https://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_to_another_scheme_are_not_followed(target, get):
    with pytest.raises(ManifestError, match="redirected to another scheme"):
        get(moved(target))


def test_plain_http_is_for_the_index_alone(get, index, other):
    other.put("/x", b"elsewhere")
    with pytest.raises(ManifestError, match=r"redirected to .*: must be https"):
        get(moved(f"{other.site}/x"))
    with pytest.raises(ManifestError, match="must be https"):
        get(b"x", at="https://example.org/pi/v2")
    with pytest.raises(ManifestError, match="must be https"):
        get(b"x", at=other.url)
    assert other.requests == []


def test_a_package_cannot_name_another_site_without_https(index, other, lock):
    other.put("/x.py", b"elsewhere")
    index.describe("a", {"v": 1, "urls": [["x.py", f"{other.site}/x.py"]]})
    with pytest.raises(ManifestError, match=r"^a: .*must be https"):
        lock("a")
    with pytest.raises(ManifestError, match="must be https"):
        lock(f"{other.site}/x.py")
    assert other.requests == []


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def test_a_certificate_must_be_one_that_the_machine_trusts(secure, cache):
    secure.add("a")
    with pytest.raises(ManifestError, match="^a .*TLS certificate verification failed") as caught:
        make_lock(["a"], index=secure.url, cache=cache)
    assert "SSL_CERT_FILE" in str(caught.value.hint)
    assert secure.requests == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_a_variable_names(variable, secure, certificate, cache, monkeypatch):
    secure.add("a")
    monkeypatch.setenv(variable, str(certificate))
    made = make_lock(["a"], index=secure.url, cache=cache)
    assert made.packages[0].files[0].url.startswith("https://127.0.0.1:")
    for bad in (f"{certificate}.nope", __file__):
        monkeypatch.setenv(variable, bad)
        with pytest.raises(ManifestError, match=f"{variable} names .*, which contains no certificates"):
            make_lock(["a"], index=secure.url, cache=cache)


@pytest.mark.usefixtures("trusted")
def test_https_is_never_left_for_http(secure, other):
    other.put("/x", b"x")
    secure.put("/x", moved(f"{other.site}/x"))
    for index in (secure.url, other.url):
        with pytest.raises(ManifestError, match="redirected to another scheme"):
            client(index, f"{secure.site}/x").get(f"{secure.site}/x", 10)
    assert other.requests == []


def test_https_is_not_spoken_with_a_server_that_cannot(index):
    site = index.site.replace("http:", "https:")
    with pytest.raises(ManifestError, match="^https://.*TLS certificate verification failed"):
        client(site).get(site, 10)


@pytest.mark.usefixtures("trusted")
def test_a_redirect_may_have_a_query_with_a_signature_and_a_fragment(secure):
    secure.put("/x?X-Amz-Signature=1&x=a", b"x")
    secure.put("/page", moved("/x?X-Amz-Signature=1&x=a#part"))
    assert client(secure.url).get(f"{secure.site}/page", 10) == b"x"


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1\\@example.org/", "https://example.org@127.0.0.1/", "https://localhost#@example.org/"]
)
@pytest.mark.usefixtures("trusted")
def test_no_trick_with_a_host_name_leads_to_a_private_address(target, secure):
    secure.put("/page", moved(target))
    with pytest.raises(ManifestError, match="redirected to"):
        client(secure.url).get(f"{secure.site}/page", 10)
    assert secure.requests == ["/page"]


@pytest.mark.usefixtures("trusted")
def test_no_package_and_no_redirect_leads_to_a_private_address(index, secure, lock):
    """Unless the user named that very site."""
    secure.put("/x.py", b"x")
    secure.put("/moved.py", moved("https://localhost:1/x.py"))
    index.describe("a", {"v": 1, "urls": [["x.py", f"{secure.site}/x.py"]]})
    with pytest.raises(ManifestError, match="packages cannot name an address of this machine or of a private network"):
        lock("a")
    with pytest.raises(ManifestError, match="redirected to https://localhost:1/x.py: packages cannot name"):
        lock(f"{secure.site}/moved.py")
    assert secure.requests == ["/moved.py"]
    made = lock("a", f"{secure.site}/x.py")
    assert [package.name for package in made.packages] == ["a", f"{secure.site}/x.py"]


@pytest.mark.parametrize(
    ("site", "private"),
    [
        ("https://example.org", False),
        ("https://a.b.example.org:8443", False),
        ("https://localhost", True),
        ("https://LOCALHOST.:1".lower(), True),
        ("https://devpi", True),
        ("https://x.local", True),
        ("https://x.internal:1", True),
        ("https://127.0.0.1", True),
        ("https://8.8.8.8", True),
        ("https://127.1", True),
        ("https://2130706433", True),
        ("https://0x7f.0.0.0x1", True),
        ("https://[::1]:1", True),
        ("file:x", False),
        ("github:o/r", False),
    ],
)
def test_which_addresses_look_private(site, private):
    assert is_private(site) == private


def test_an_index_must_be_an_address():
    for wrong in ("index", "github:o/r", "ftp://host", "file:", "https://user:secret@host", "https://host?x"):
        with pytest.raises(ManifestError) as caught:
            make_lock(["a"], index=wrong)
        assert "secret" not in str(caught.value)


def test_connections_are_used_again(index, lock):
    for number in range(40):
        index.add(f"p{number}", files={f"p{number}/{n}.py": f"{number} {n}".encode() for n in range(5)})
    lock(*(f"p{number}" for number in range(40)))
    assert len(index.requests) == 240
    assert index.connections <= WORKERS
