import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from urllib3 import Timeout

from romfs_manifest import make_lock
from romfs_manifest.mip import client
from tests.manifest.server import Index


@pytest.fixture
def other():
    """Another site than the index's."""
    served = Index()
    yield served
    served.close()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def lock(index, cache):
    """Lock requests from the index."""

    def make(*requests, **options):
        return make_lock(requests, index=index.url, **({"cache": cache} | options))

    return make


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch, tmp_path):
    """Remove proxies, certificates, and tokens that the environment may name."""
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    names = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "ROMFS_TOKENS", "ROMFS_INDEX"}
    names |= {"GITHUB_TOKEN", "GITLAB_TOKEN", "CODEBERG_TOKEN"}
    for name in [*names, *(name for name in os.environ if name.lower().endswith("_proxy"))]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def short_waits(monkeypatch):
    """Waits that are short enough for tests."""
    monkeypatch.setattr(client, "_RETRIES", client._RETRIES.new(backoff_factor=0.001))
    monkeypatch.setattr(client, "_TIMEOUT", Timeout(connect=1, read=0.3))
    monkeypatch.setattr(client, "_DEADLINE", 0.6)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for the loopback signed by itself, and its key."""
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
