"""What many tests need: an environment of their own, a wheel of this package, and projects to build."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hatch_romfs import build
from tests import judges
from tests.manifest.server import Index

CACHES = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}


def pytest_collection_modifyitems(items):
    """Run the tests of pseudo-terminals one after another: the name of one that is gone is soon another's."""
    for item in items:
        if "tests/board/" in item.path.as_posix() or item.path.name in ("test_cli.py", "test_examples.py"):
            item.add_marker(pytest.mark.xdist_group("boards"))


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


def copied(source: Path, target: Path) -> Path:
    """Copy a checkout without what it does not keep."""
    left_out = shutil.ignore_patterns(".git", ".venv*", "dist", "__pycache__", ".*_cache", ".coverage*", ".hypothesis")
    return Path(shutil.copytree(source, target, ignore=left_out, symlinks=True))


PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "My.app"
version = "1.2.3-rc1"

[tool.hatch.build.hooks.romfs]

[tool.hatch.build.targets.wheel]
packages = ["src/app"]

[tool.romfs]
lib = ["vendor"]
alignment = { "*.bin" = 32 }
"""

FILES = {
    "pyproject.toml": PYPROJECT.encode(),
    "src/app/__init__.py": b"from app.greeting import greet\n",
    "src/app/greeting.py": b"import util\n\n\ndef greet():\n    return 'hello ' + util.who()\n",
    "src/app/table.bin": bytes(range(256)),
    "src/app/copy of table.bin": bytes(range(256)),
    "src/ünï cödé/text.txt": "grüße\n".encode(),
    "vendor/util.py": b"def who():\n    return 'world'\n",
}


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
    return build(make_project(tmp_path / "reference")).sha256


def make_project(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root
