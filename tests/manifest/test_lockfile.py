"""The lock on disk, the cache, and fetching: not a byte of them can be changed unnoticed."""

import hashlib
import os
import re

import pytest

from romfs_manifest import Lock, LockedFile, LockedPackage, ManifestError, fetch, read_lock, write_lock


@pytest.fixture
def made(index, lock):
    index.add("a", files={"a/__init__.py": b"import base\n", "a/empty.py": b""}, deps=[["base", "latest"]])
    index.add("base")
    return lock("a", "base@1.0")


@pytest.fixture
def path(tmp_path, made):
    write_lock(tmp_path / "romfs.lock", made)
    return tmp_path / "romfs.lock"


def test_what_was_written_is_read(path, made):
    assert read_lock(path) == made


def test_the_same_lock_is_the_same_bytes(path, made, tmp_path):
    again = tmp_path / "again.lock"
    write_lock(again, made._replace(packages=made.packages[::-1], requests=made.requests[::-1]))
    assert again.read_bytes() == path.read_bytes()
    assert list(tmp_path.glob(".*")) == []


def test_line_endings_that_a_checkout_changed_do_not_matter(path, made):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_lock(path) == made


def test_no_byte_of_a_lock_can_be_changed_to_mean_something_else(path, made):
    data = path.read_bytes()
    noticed = 0
    for at in range(len(data)):
        for other in (data[at] ^ 1, ord("0") if data[at] != ord("0") else ord("1")):
            path.write_bytes(data[:at] + bytes([other]) + data[at + 1 :])
            try:
                meant = read_lock(path)
            except ManifestError:
                noticed += 1
            else:
                assert meant == made
    assert noticed > len(data)


def test_no_line_of_a_lock_can_be_missing(path, made):
    lines = path.read_bytes().splitlines(keepends=True)
    for at, line in enumerate(lines):
        path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
        if line.strip() and not line.startswith(b"#"):
            with pytest.raises(ManifestError):
                read_lock(path)
        else:
            assert read_lock(path) == made


FILE = LockedFile("a.py", "https://example.org/a.py", "0" * 64, 1)


@pytest.mark.parametrize(
    "file",
    [
        FILE._replace(target="../a.py"),
        FILE._replace(target="/boot.py"),
        FILE._replace(sha256="../../x"),
        FILE._replace(sha256="0" * 63),
        FILE._replace(size=-1),
        FILE._replace(size=1 << 40),
        FILE._replace(size=True),
    ],
)
def test_a_lock_is_hostile_though_its_checksum_is_right(file, tmp_path):
    path = tmp_path / "romfs.lock"
    write_lock(path, Lock(("a",), (LockedPackage("a", "1.0", (), (FILE, file)),), "https://example.org", "py"))
    with pytest.raises(ManifestError, match=re.escape(str(path))):
        read_lock(path)


@pytest.mark.parametrize(
    "text",
    ["", "x", "a = [" * 5000, "format = 1\n", "format = 2\n", f"format = 0x{'f' * 9000}\n", "\xff", "packages = 1"],
)
def test_what_is_no_lock(text, tmp_path):
    path = tmp_path / "romfs.lock"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=re.escape(str(path))):
        read_lock(path)


def test_a_lock_that_is_not_there(tmp_path):
    with pytest.raises(ManifestError, match="there is no") as caught:
        read_lock(tmp_path / "romfs.lock")
    assert caught.value.hint == "Run 'romfs-manifest lock' to make it."


def test_a_lock_that_cannot_be_written(made, tmp_path):
    with pytest.raises(ManifestError, match="cannot write"):
        write_lock(tmp_path / "missing/romfs.lock", made)


def test_a_lock_stays_whole_when_its_writing_ends_early(path, made, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_lock(path, made._replace(packages=()))
    assert path.read_bytes() == before
    assert list(path.parent.glob(".*")) == []


class TestFetch:
    def test_a_full_cache_takes_no_network(self, made, cache, index):
        index.requests.clear()
        assert fetch(made, cache)["a/__init__.py"] == b"import base\n"
        assert index.requests == []

    def test_what_the_cache_lacks_is_fetched_once_by_its_url(self, made, cache, index):
        files = fetch(made, cache)
        for entry in cache.iterdir():
            entry.unlink()
        index.requests.clear()
        assert fetch(made, cache) == fetch(made, cache) == files
        assert sorted(index.requests) == sorted(
            file.url.removeprefix(index.site) for package in made.packages for file in package.files
        )

    def test_entries_are_named_by_their_hash(self, made, cache):
        assert {entry.name for entry in cache.iterdir()} == {
            hashlib.sha256(data).hexdigest() for data in fetch(made, cache).values()
        }

    def test_a_bad_entry_is_as_good_as_missing(self, made, cache, index):
        files = fetch(made, cache)
        for entry in sorted(cache.iterdir()):
            good = entry.read_bytes()
            changed = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
            for bad in (*changed, good[:-1] if good else b"x", good + b"x"):
                entry.write_bytes(bad)
                index.requests.clear()
                assert fetch(made, cache) == files
                assert len(index.requests) == 1
                assert entry.read_bytes() == good

    def test_a_bad_entry_and_no_network_is_an_error(self, made, cache, index):
        index.pages.clear()
        victim = made.packages[1].files[0]
        (cache / victim.sha256).write_bytes(b"forged")
        with pytest.raises(ManifestError, match=r"^base 1\.0: "):
            fetch(made, cache)

    def test_bytes_that_match_the_short_hash_but_not_the_locked_one(self, made, cache, index):
        """The page is under the name of its short hash: what is served there now need not even match that."""
        (package,) = (package for package in made.packages if package.name == "base")
        (file,) = package.files
        data = index.pages[file.url.removeprefix(index.site)]
        (cache / file.sha256).unlink()
        for at in range(len(data)):
            index.put(file.url.removeprefix(index.site), data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(ManifestError, match=r"^base 1\.0: .*not those that were locked"):
                fetch(made, cache)
            assert not (cache / file.sha256).exists()

    @pytest.mark.parametrize("body", [b"base = '1.0'", b"base = '1.0'\n\n", b""])
    def test_another_size(self, body, made, cache, index):
        (file,) = made.packages[1].files
        (cache / file.sha256).unlink()
        index.put(file.url.removeprefix(index.site), body)
        with pytest.raises(ManifestError, match=r"^base 1\.0: "):
            fetch(made, cache)

    def test_a_locked_hash_of_which_only_the_short_one_is_right(self, made, cache, index):
        """As if another file with the same first eight digits had been locked."""
        (file,) = made.packages[1].files
        forged = file._replace(sha256=file.sha256[:8] + "0" * 56)
        package = made.packages[1]._replace(files=(forged,))
        with pytest.raises(ManifestError, match=r"^base 1\.0: .*not those that were locked"):
            fetch(made._replace(packages=(package,)), cache)
        assert not (cache / forged.sha256).exists()

    @pytest.mark.parametrize("url", ["http://[", "file:///etc/passwd", "http://127.0.0.1:1/x", "x", "", "https://[::"])
    def test_addresses_that_no_lock_should_have(self, url, made, cache, index):
        file = made.packages[1].files[0]._replace(url=url)
        (cache / file.sha256).unlink()
        with pytest.raises(ManifestError, match=r"^base 1\.0: "):
            fetch(made._replace(packages=(made.packages[1]._replace(files=(file,)),)), cache)

    def test_a_cache_that_cannot_be_written(self, made, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ManifestError, match="cannot write"):
            fetch(made, tmp_path / "file/cache")
