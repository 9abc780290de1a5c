"""The cache of packages believes only what this user or root has stored, and shows it to nobody else."""

import os
import stat
import subprocess
import sys

import pytest

from romfs_manifest import ManifestError, user_cache
from romfs_manifest.mip import cache as package_cache
from romfs_manifest.mip.cache import get, hash_bytes, put
from romfs_manifest.shared.atomic import SUFFIX

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has neither owners nor pipes of this kind")
root_only = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")

DATA = b"print('hello')\n"
NAME = hash_bytes(DATA)


@pytest.fixture
def stored(tmp_path):
    """A cache with one entry."""
    assert put(tmp_path / "cache", NAME, DATA) is None
    return tmp_path / "cache"


def test_a_new_cache_is_private(stored):
    assert stat.S_IMODE(stored.stat().st_mode) == 0o700
    assert get(stored, NAME, len(DATA)) == DATA


def test_the_cache_of_the_user_becomes_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "hatch-romfs/packages"
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o777)
    assert user_cache() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_the_user_names_keeps_its_mode(tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    folder.chmod(0o755)
    assert put(folder, NAME, DATA) is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.parametrize("forged", [b"PRINT('hello')\n", b"", DATA + b"x"])
def test_a_rewritten_entry_is_noticed(forged, stored):
    (stored / NAME).write_bytes(forged)
    assert get(stored, NAME, len(DATA)) is None
    (stored / hash_bytes(forged)).write_bytes(forged)  # it vouches for itself, but nobody asks for it
    assert get(stored, NAME, len(DATA)) is None


@root_only
def test_an_entry_of_another_user_counts_as_missing(stored):
    os.chown(stored / NAME, 1234, 1234)
    assert get(stored, NAME, len(DATA)) is None
    assert put(stored, NAME, DATA) is None
    assert get(stored, NAME, len(DATA)) == DATA


@root_only
def test_the_cache_of_another_user_is_not_used(stored):
    os.chown(stored, 1234, 1234)
    assert get(stored, NAME, len(DATA)) is None
    before = sorted(stored.iterdir())
    assert put(stored, "0" * 64, DATA) == (
        f"the cache {stored} cannot be written: it belongs to another user; the files will be fetched again next time"
    )
    assert sorted(stored.iterdir()) == before


@root_only
def test_only_a_link_of_this_user_leads_to_a_cache(stored, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(stored)
    assert get(link, NAME, len(DATA)) == DATA
    os.chown(link, 1234, 1234, follow_symlinks=False)
    assert get(link, NAME, len(DATA)) is None
    assert "another user" in str(put(link, NAME, DATA))


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_a_special_entry_is_an_error_at_once(kind, stored):
    path = stored / NAME
    path.rename(stored / "aside")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(stored / "aside")
    with pytest.raises(ManifestError, match=f"^{path} is not a regular file$"):
        get(stored, NAME, len(DATA))


def test_an_entry_without_end_is_read_within_bounds(stored):
    with (stored / NAME).open("r+b") as file:
        file.truncate(1 << 40)
    assert get(stored, NAME, len(DATA)) is None


KILLED = """
import os, sys
from pathlib import Path
from romfs_manifest.mip.cache import put
os.replace = lambda *_: os.kill(os.getpid(), 9)
put(Path(sys.argv[1]), "1" * 64, b"data")
"""


def test_what_a_kill_leaves_is_gone_after_the_next_entry(stored):
    assert subprocess.run([sys.executable, "-c", KILLED, stored], check=False).returncode == -9
    assert [name for name in os.listdir(stored) if name.endswith(SUFFIX)]
    package_cache._clean_once.cache_clear()  # as in another process
    put(stored, NAME, DATA)
    assert os.listdir(stored) == [NAME]
