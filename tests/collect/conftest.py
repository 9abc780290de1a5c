"""Folders that users other than root can read."""

import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def open_path():
    """A temporary folder like tmp_path, which only its owner may enter, but for everyone."""
    folder = Path(tempfile.mkdtemp(prefix="romfs-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
