"""The cache trusts only what this user has stored in it, under the name that it has now."""

import hashlib
import os
import stat

import pytest

from hatch_romfs.cache import Cache
from tests.compile.support import posix

pytestmark = posix


def test_the_folder_and_the_key_are_private(cache):
    cache.folder.chmod(0o775)
    cache.put("name", b"data")
    key = cache.folder.with_name(f"{cache.folder.name}.key")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Cache(cache.folder).get("name") == b"data"


def test_an_entry_cannot_vouch_for_itself(cache):
    cache.put("name", b"data")
    (cache.folder / "name").write_bytes(hashlib.sha256(b"evil").digest() + b"evil")
    assert cache.get("name") is None


def test_an_entry_is_valid_only_under_its_own_name(cache):
    cache.put("name", b"data")
    (cache.folder / "name").rename(cache.folder / "other")
    assert cache.get("other") is None


def test_an_entry_of_another_key_is_not_used(cache):
    cache.put("name", b"data")
    cache.folder.with_name(f"{cache.folder.name}.key").write_bytes(bytes(32))
    assert Cache(cache.folder).get("name") is None


@pytest.mark.parametrize("what", ["folder", "key"])
def test_a_cache_of_another_user_is_not_used(cache, monkeypatch, what):
    cache.put("name", b"data")
    if os.geteuid():
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    else:
        os.chown(cache.folder if what == "folder" else cache.folder.with_name(f"{cache.folder.name}.key"), 1234, 1234)
    other = Cache(cache.folder)
    other.put("more", b"data")
    assert other.get("name") is None
    assert os.listdir(cache.folder) == ["name"]


def test_a_key_that_others_can_read_is_not_used(cache):
    cache.put("name", b"data")
    cache.folder.with_name(f"{cache.folder.name}.key").chmod(0o644)
    assert Cache(cache.folder).get("name") is None


def test_a_fifo_in_the_cache_is_a_missing_entry(cache):
    os.mkfifo(cache.folder / "name")
    assert cache.get("name") is None
    cache.put("name", b"data")
    assert cache.get("name") == b"data"


def test_an_entry_without_end_is_a_missing_entry(cache):
    cache.put("other", b"")
    with (cache.folder / "name").open("wb") as file:
        file.truncate(1 << 40)
    assert cache.get("name") is None
