"""Proxies that the environment names."""

import pytest

from romfs_manifest import ManifestError, make_lock
from romfs_manifest.mip.client import Client
from romfs_manifest.mip.policy import make_policy
from tests.manifest.server import Proxy

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def start():
    """Start a proxy."""
    started = []

    def make(*arguments):
        started.append(Proxy(*arguments))
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def get(site, path="/x"):
    client = Client(make_policy(site, ()))
    try:
        return client.get(f"{site}{path}", 100)
    finally:
        client.close()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(variable, secure, start, monkeypatch):
    proxy = start()
    secure.put("/x", b"x")
    monkeypatch.setenv(variable, f"http://{proxy.address}")
    assert get(secure.site) == b"x"
    assert proxy.requests == [f"CONNECT {secure.site.removeprefix('https://')}"]
    assert secure.requests == ["/x"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("without", ["127.0.0.1", "*", "example.org, 127.0.0.1"])
def test_no_proxy_names_hosts_without_one(without, secure, start, monkeypatch):
    proxy = start()
    secure.put("/x", b"x")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", without)
    assert get(secure.site) == b"x"
    assert proxy.requests == []


def test_an_index_with_plain_http_has_a_proxy_of_its_own(index, start, monkeypatch):
    proxy = start()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", proxy.address)  # without a scheme
    assert get(index.site) == b"by proxy"
    assert proxy.requests == [f"GET {index.site}/x"]


@pytest.mark.usefixtures("trusted")
def test_the_password_of_a_proxy_is_for_the_proxy_alone(secure, start, monkeypatch, cache):
    proxy = start("user:p@ss word")
    secure.add("a")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss%20word@{proxy.address}")
    made = make_lock(["a"], index=secure.url, cache=cache)
    assert made.packages[0].name == "a"
    assert all("Proxy-Authorization" in headers for headers in proxy.headers)
    assert not any({"Proxy-Authorization", "Authorization"} & {*headers} for headers in secure.headers)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("arguments", [("other:password",), ("", 403), ("", 502)])
def test_a_proxy_that_denies_access(arguments, secure, start, monkeypatch):
    proxy = start(*arguments)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@{proxy.address}")
    with pytest.raises(ManifestError, match="the proxy failed: ") as caught:
        get(secure.site)
    assert caught.value.hint == "Check HTTPS_PROXY and NO_PROXY."
    assert "secret" not in str(caught.value)
    assert secure.requests == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    "address",
    ["http://user:secret@127.0.0.1:1", "socks5://user:secret@h", "http://user:secret@h:port", "http://secret@"],
)
def test_a_proxy_that_is_unreachable_or_not_an_address(address, secure, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ManifestError, match="proxy") as caught:
        get(secure.site)
    shown = f"{caught.value}{caught.value.hint}{caught.value.__cause__}{caught.value.__context__}"
    assert "HTTPS_PROXY" in str(caught.value.hint)
    assert "secret" not in shown
    assert secure.requests == []
