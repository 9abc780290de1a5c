"""Servers that are slow, broken or hostile."""

import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from romfs_manifest import ManifestError, crew, make_lock
from romfs_manifest.web import Web
from tests.manifest.server import Index, answer

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def get(index):
    """Get a page that answers as told; another index may have been named."""
    opened = []

    def got(page, limit=1000, at=None):
        index.put("/page", page)
        opened.append(Web(at or index.url))
        return opened[-1].get(f"{index.site}/page", limit)

    yield got
    for each in opened:
        each.close()


def failing(*statuses):
    left = list(statuses)
    return lambda handler: answer(handler, left.pop(0)) if left else answer(handler, 200, b"at last")


def test_what_passes_is_tried_again(get, index):
    assert get(failing(500, 503, 429)) == b"at last"
    assert len(index.requests) == 4


def test_but_not_for_ever(get, index):
    with pytest.raises(ManifestError, match="the server answered 500"):
        get(failing(*[500] * 10))
    assert len(index.requests) == 4


def test_what_does_not_pass_is_not_tried_again(get, index):
    for status in (403, 404, 418):
        index.requests.clear()
        with pytest.raises(ManifestError, match="no such file" if status == 404 else f"answered {status}"):
            get(failing(status))
        assert len(index.requests) == 1


def test_a_server_cannot_say_how_long_to_wait(get):
    left = [1]
    begun = time.monotonic()
    assert get(lambda h: answer(h, 503, Retry_After="3600") if left and left.pop() else answer(h, 200, b"x")) == b"x"
    assert time.monotonic() - begun < 5


def test_an_answer_that_was_cut_is_tried_again(get, index):
    def cut(handler):
        handler.close_connection = True
        body = b"whole" if len(index.requests) > 1 else b"who"
        answer(handler, 200, body, Content_Length="5")

    assert get(cut) == b"whole"
    assert len(index.requests) == 2


def test_nobody_is_there(index):
    site = index.site
    index.close()
    with pytest.raises(ManifestError, match=re.escape(f"{site}/x: ")) as caught:
        Web(site).get(f"{site}/x", 10)
    assert caught.value.hint == "Is there a network? Try again."


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

    if declared == "3":  # what comes after it is no part of the answer
        assert get(endless) == b"xxx"
        return
    with pytest.raises(ManifestError, match="is larger than 1,000 bytes"):
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
    with pytest.raises(ManifestError, match="is larger than 1,000 bytes"):
        get(chunked(11))


def test_a_compressed_answer_is_not_unpacked(get):
    import gzip

    bomb = gzip.compress(bytes(1 << 20))
    assert get(lambda handler: answer(handler, 200, bomb, Content_Encoding="gzip"), 10_000) == bomb


def test_a_server_that_says_nothing(get, index):
    begun = time.monotonic()
    with pytest.raises(ManifestError, match="[Tt]imed out"):
        get(lambda _: time.sleep(1))
    assert time.monotonic() - begun < 4


def test_a_server_that_drips(get):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    begun = time.monotonic()
    with pytest.raises(ManifestError, match="took more than"):
        get(drip)
    assert time.monotonic() - begun < 2


def moved(target):
    return lambda handler: answer(handler, 302, Location=target)


def test_redirects_are_followed_on_the_index_itself(get, index):
    index.put("/there", b"found")
    assert get(moved("/there")) == b"found"
    assert get(moved(f"{index.site}/there")) == b"found"


@pytest.mark.parametrize("target", ["http://[", "http://127.0.0.1:x/", "http://\x00/"])
def test_redirects_to_what_is_no_address(target, get):
    with pytest.raises(ManifestError, match="no address|must be https"):
        get(moved(target))


def test_redirects_end(get, index):
    with pytest.raises(ManifestError, match="redirected more than 5 times"):
        get(moved("/page"))
    assert len(index.requests) == 6


@pytest.mark.parametrize("target", ["https://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_to_another_scheme_are_not_followed(target, get):
    with pytest.raises(ManifestError, match="is another scheme"):
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the loopback that nobody has signed, and its key."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not on this machine")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days 2"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", f"{path}.crt"]
    subprocess.run([openssl, *asked.split(), *more], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def secure(certificate):
    """An index that speaks https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    served = Index(context)
    yield served
    served.close()


def test_a_certificate_must_be_one_that_the_machine_trusts(secure, certificate, cache, monkeypatch):
    secure.add("a")
    with pytest.raises(ManifestError, match="^a .*no trust in its server"):
        make_lock(["a"], index=secure.url, cache=cache)
    assert secure.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made = make_lock(["a"], index=secure.url, cache=cache)
    assert made.packages[0].files[0].url.startswith("https://127.0.0.1:")


def test_https_is_never_left_for_http(secure, other, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    other.put("/x", b"x")
    secure.put("/x", moved(f"{other.site}/x"))
    with pytest.raises(ManifestError, match="another scheme"):
        Web(secure.url).get(f"{secure.site}/x", 10)
    with pytest.raises(ManifestError, match="another scheme"):
        Web(other.url).get(f"{secure.site}/x", 10)
    assert other.requests == []


def test_https_is_not_spoken_with_a_server_that_cannot(index):
    with pytest.raises(ManifestError, match="^https://.*no trust in its server"):
        Web(index.url).get(index.site.replace("http:", "https:"), 10)


def test_an_index_must_be_an_address():
    for wrong in ("file:///srv/index", "index", "github:o/r", "ftp://host", "https://user:secret@host"):
        with pytest.raises(ManifestError):
            make_lock(["a"], index=wrong)


def test_connections_are_used_again(index, lock):
    for number in range(40):
        index.add(f"p{number}", files={f"p{number}/{n}.py": f"{number} {n}".encode() for n in range(5)})
    lock(*(f"p{number}" for number in range(40)))
    assert len(index.requests) == 240
    assert index.connections <= crew.WORKERS
