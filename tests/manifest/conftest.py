import pytest
from urllib3 import Timeout

from romfs_manifest import make_lock, web
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


@pytest.fixture
def hasty(monkeypatch):
    """Waits that are short enough for tests."""
    monkeypatch.setattr(web, "_RETRIES", web._RETRIES.new(backoff_factor=0.001))
    monkeypatch.setattr(web, "_TIMEOUT", Timeout(connect=1, read=0.3))
    monkeypatch.setattr(web, "_DEADLINE", 0.6)
