"""Fixtures for many tests: an environment of their own, a wheel of this package, and projects to build."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import judges
from tests.content import checked_build
from tests.manifest.server import Index
from tests.projects import copied, make_project

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it to what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

WORKERS_PER_CORE = 2
"""Tests wait for boards, terminals, and servers half of their time."""
CACHES = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` means."""
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    """Keep the user's cache of modules and Hatch's environments out of it, but not what was downloaded."""
    before = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in CACHES.items():
            patch.setenv(name, os.environ.get(name, str(before / folder)))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HATCH_DATA_DIR", str(tmp_path_factory.mktemp("hatch")))
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        yield


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory, _own_caches):
    """A folder with a wheel of this package as it is now; front ends of the tests look there too."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    source = copied(judges.REPO, tmp_path_factory.mktemp("source") / "hatch-romfs")
    subprocess.run([judges.command("uv"), "build", "--quiet", "--wheel", "-o", folder, source], check=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
            before = os.environ.get(name)
            separator = "," if name.startswith("UV") else " "
            patch.setenv(name, f"{before}{separator}{folder}" if before else str(folder))
        yield folder


@pytest.fixture
def index():
    """An index of mip packages, served on this machine."""
    served = Index()
    yield served
    served.close()


@pytest.fixture
def project(tmp_path):
    """A small project of every kind of content."""
    return make_project(tmp_path / "project")


@pytest.fixture
def reference(tmp_path):
    """The image's SHA-256, built through the API in a folder of its own."""
    return checked_build(make_project(tmp_path / "reference")).sha256


@pytest.fixture
def image(project):
    return checked_build(project).path
