"""The lock on disk, the cache, and fetching: a change of any byte is noticed."""

import errno
import hashlib
import os
import re

import pytest

from romfs_manifest import (
    Lock,
    LockedFile,
    LockedPackage,
    ManifestError,
    check_lock,
    fetch,
    make_lock,
    read_lock,
    write_lock,
)
from tests.manifest.support import linked

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")

SPECIAL = ("pipe", "device", "folder")


def make_special(path, kind):
    """Make something in the place of a file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@pytest.fixture
def made(index, lock):
    index.add("a", files={"a/__init__.py": b"import base\n", "a/empty.py": b""}, deps=[["base", "latest"]])
    index.add("base")
    return lock("a", "base@1.0")


@pytest.fixture
def path(tmp_path, made):
    write_lock(tmp_path / "romfs.lock", made)
    return tmp_path / "romfs.lock"


def test_a_lock_is_read_as_it_was_written(path, made):
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
def test_a_lock_is_checked_even_if_its_checksum_is_right(file, tmp_path):
    path = tmp_path / "romfs.lock"
    write_lock(path, Lock(("a",), (LockedPackage("a", "1.0", (), (FILE, file)),), "https://example.org", "py"))
    with pytest.raises(ManifestError, match=re.escape(str(path))):
        read_lock(path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (FILE._replace(target="../b.py"), "package 'a': file '../b.py': the target '../b.py' must not contain"),
        (FILE._replace(target="b.py", sha256="x"), "package 'a': file 'b.py': its SHA-256 or its size is invalid"),
        (
            FILE._replace(target="b.py", url="http://example.org/x"),
            "package 'a': file 'b.py': http://example.org/x: must",
        ),
    ],
)
def test_errors_name_the_package_and_the_file(file, message, tmp_path):
    path = tmp_path / "romfs.lock"
    write_lock(path, Lock(("a",), (LockedPackage("a", "1.0", (), (FILE, file)),), "https://example.org", "py"))
    with pytest.raises(ManifestError, match=re.escape(f"{path}: {message}")):
        read_lock(path)


def test_a_lock_of_a_newer_format(path):
    path.write_text(path.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(ManifestError, match="made by a newer romfs-manifest") as caught:
        read_lock(path)
    assert caught.value.hint == "Upgrade hatch-romfs on this machine."


@pytest.mark.parametrize(
    ("line", "before"),
    [("extra = 1", "format ="), ("extra = 1", "name ="), ("extra = 1", "target =")],
)
def test_unknown_keys_are_rejected(line, before, path):
    text = path.read_text()
    at = text.index(before)
    path.write_text(f"{text[:at]}{line}\n{text[at:]}" if "{" not in text else f"{text[:at]}{line}, {text[at:]}")
    if before != "target =":
        path.write_text(f"{text[:at]}{line}\n{text[at:]}")
    with pytest.raises(ManifestError, match="unknown key 'extra'"):
        read_lock(path)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_conflict_markers_are_recognized(newline, path):
    lines = path.read_text().splitlines()
    ours, theirs = "<<<<<<< HEAD", ">>>>>>> other"
    text = newline.join([*lines[:2], ours, lines[2], "=======", lines[2], theirs, *lines[3:], ""])
    path.write_bytes(text.encode())
    with pytest.raises(ManifestError, match="contains conflict markers of a merge") as caught:
        read_lock(path)
    assert "romfs-manifest lock" in str(caught.value.hint)


@linked
def test_a_lock_that_is_a_link_stays_one(path, made, tmp_path):
    link = tmp_path / "project/romfs.lock"
    link.parent.mkdir()
    link.symlink_to("../romfs.lock")
    write_lock(link, made._replace(packages=made.packages[:1]))
    assert link.is_symlink()
    assert len(read_lock(path).packages) == 1
    dangling = tmp_path / "dangling.lock"
    dangling.symlink_to("new.lock")
    write_lock(dangling, made)
    assert dangling.is_symlink()
    assert read_lock(tmp_path / "new.lock") == made


@pipes
@pytest.mark.parametrize("kind", SPECIAL)
def test_a_lock_that_is_a_pipe_a_device_or_a_folder_is_an_error(kind, tmp_path):
    make_special(tmp_path / "romfs.lock", kind)
    with pytest.raises(ManifestError, match="is not a regular file"):
        read_lock(tmp_path / "romfs.lock")


def test_names_of_repositories_that_differ_only_in_case_are_one_also_in_an_old_lock(tmp_path):
    file = FILE._replace(url="https://raw.githubusercontent.com/Own/Repo/V1/a.py")
    package = LockedPackage("github:Own/Repo", "V1", (), (file,))
    path = tmp_path / "romfs.lock"
    write_lock(path, Lock(("github:own/repo@V1",), (package,), "https://example.org", "py"))
    check_lock(read_lock(path), ["github:OWN/repo@V1"])


@pytest.mark.parametrize(
    "text",
    ["", "x", "a = [" * 5000, "format = 1\n", "format = 2\n", f"format = 0x{'f' * 9000}\n", "\xff", "packages = 1"],
)
def test_files_that_are_not_locks(text, tmp_path):
    path = tmp_path / "romfs.lock"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=re.escape(str(path))):
        read_lock(path)


def test_a_missing_lock(tmp_path):
    with pytest.raises(ManifestError, match="does not exist") as caught:
        read_lock(tmp_path / "romfs.lock")
    assert caught.value.hint == "Run 'romfs-manifest lock' to make it."


def test_a_lock_that_cannot_be_written(made, tmp_path):
    with pytest.raises(ManifestError, match="cannot write"):
        write_lock(tmp_path / "missing/romfs.lock", made)


def test_an_interrupted_write_leaves_the_old_lock(path, made, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_lock(path, made._replace(packages=()))
    assert path.read_bytes() == before
    assert list(path.parent.glob(".*")) == []


class TestFetch:
    def test_a_full_cache_needs_no_network(self, made, cache, index):
        index.requests.clear()
        assert fetch(made, cache, index=index.url)["a/__init__.py"] == b"import base\n"
        assert index.requests == []

    def test_missing_files_are_fetched_once_from_their_url(self, made, cache, index):
        files = fetch(made, cache, index=index.url)
        for entry in cache.iterdir():
            entry.unlink()
        index.requests.clear()
        assert fetch(made, cache, index=index.url) == fetch(made, cache, index=index.url) == files
        assert sorted(index.requests) == sorted(
            file.url.removeprefix(index.site) for package in made.packages for file in package.files
        )

    def test_entries_are_named_by_their_hash(self, made, cache, index):
        assert {entry.name for entry in cache.iterdir()} == {
            hashlib.sha256(data).hexdigest() for data in fetch(made, cache, index=index.url).values()
        }

    def test_a_damaged_entry_counts_as_missing(self, made, cache, index):
        files = fetch(made, cache, index=index.url)
        for entry in sorted(cache.iterdir()):
            good = entry.read_bytes()
            changed = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
            for bad in (*changed, good[:-1] if good else b"x", good + b"x"):
                entry.write_bytes(bad)
                index.requests.clear()
                assert fetch(made, cache, index=index.url) == files
                assert len(index.requests) == 1
                assert entry.read_bytes() == good

    def test_a_bad_entry_and_no_network_is_an_error(self, made, cache, index):
        index.pages.clear()
        victim = made.packages[1].files[0]
        (cache / victim.sha256).write_bytes(b"forged")
        with pytest.raises(ManifestError, match=r"^base 1\.0: "):
            fetch(made, cache, index=index.url)

    def test_bytes_that_match_the_short_hash_but_not_the_locked_one(self, made, cache, index):
        """The page is named by its short hash, but its bytes need not match."""
        (package,) = (package for package in made.packages if package.name == "base")
        (file,) = package.files
        data = index.pages[file.url.removeprefix(index.site)]
        (cache / file.sha256).unlink()
        for at in range(len(data)):
            index.put(file.url.removeprefix(index.site), data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(ManifestError, match=r"^base 1\.0: .*bytes differ from those that were locked"):
                fetch(made, cache, index=index.url)
            assert not (cache / file.sha256).exists()

    @pytest.mark.parametrize("body", [b"base = '1.0'", b"base = '1.0'\n\n", b""])
    def test_another_size(self, body, made, cache, index):
        (file,) = made.packages[1].files
        (cache / file.sha256).unlink()
        index.put(file.url.removeprefix(index.site), body)
        with pytest.raises(ManifestError, match=r"^base 1\.0: "):
            fetch(made, cache, index=index.url)

    def test_a_locked_hash_of_which_only_the_short_one_is_right(self, made, cache, index):
        """As if another file with the same first eight digits were locked."""
        (file,) = made.packages[1].files
        forged = file._replace(sha256=file.sha256[:8] + "0" * 56)
        package = made.packages[1]._replace(files=(forged,))
        with pytest.raises(ManifestError, match=r"^base 1\.0: .*bytes differ from those that were locked"):
            fetch(made._replace(packages=(package,)), cache, index=index.url)
        assert not (cache / forged.sha256).exists()

    @pytest.mark.parametrize(
        "url",
        ["http://[", "file:///etc/passwd", "file:../x", "http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "x", "",
         "https://[::", "https://user:secret@example.org/x", "https://example.org/x?access_token=secret"],
    )  # fmt: skip
    def test_addresses_that_lock_would_not_have_contacted(self, url, made, cache, index, tmp_path):
        file = made.packages[1].files[0]._replace(url=url)
        (cache / file.sha256).unlink()
        forged = made._replace(packages=(made.packages[0], made.packages[1]._replace(files=(file,))))
        with pytest.raises(ManifestError, match=r"^base 1\.0: ") as caught:
            fetch(forged, cache, index=index.url)
        assert "secret" not in str(caught.value)
        # A lock with such an address cannot even be read, though its checksum is right.
        write_lock(tmp_path / "forged.lock", forged)
        with pytest.raises(ManifestError, match="forged.lock: package 'base': file 'base.py': ") as caught:
            read_lock(tmp_path / "forged.lock")
        assert "secret" not in str(caught.value)

    def test_an_index_with_plain_http_is_contacted_only_if_it_is_named(self, made, cache, index):
        files = fetch(made, cache)  # which needs no network
        for entry in cache.iterdir():
            entry.unlink()
        index.requests.clear()
        for name in (None, "https://micropython.org/pi/v2", index.site):
            with pytest.raises(
                ManifestError, match="base 1.0 is not in the cache, and the lock was made from http://"
            ) as caught:
                fetch(made, cache, index=name)
            assert f"--index {index.url}" in str(caught.value.hint)
            assert "ROMFS_INDEX" in str(caught.value.hint)
        assert index.requests == []
        assert fetch(made, cache, index=f"{index.url}/") == files

    def test_an_index_on_a_private_host_is_contacted_only_if_it_is_named(self, secure, certificate, cache, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        secure.add("a")
        made = make_lock(["a"], index=secure.url, cache=cache)
        (entry,) = cache.iterdir()
        entry.unlink()
        secure.requests.clear()
        with pytest.raises(ManifestError, match="which is a private address"):
            fetch(made, cache)
        assert secure.requests == []
        assert list(fetch(made, cache, index=secure.url)) == ["a.py"]

    def test_a_cache_that_cannot_be_written_is_a_warning(self, made, tmp_path, index, lock):
        (tmp_path / "file").write_bytes(b"")
        warnings: list[str] = []
        files = fetch(made, tmp_path / "file/cache", index=index.url, on_warning=warnings.append)
        assert files["a/__init__.py"] == b"import base\n"
        assert len(warnings) == 1
        assert "cannot be written" in warnings[0]
        assert lock("a", "base@1.0", cache=tmp_path / "file/cache", on_warning=warnings.append) == made
        assert warnings[0] == warnings[1]

    def test_a_cache_that_is_full_or_read_only_is_a_warning(self, made, cache, index, monkeypatch):
        for entry in cache.iterdir():
            entry.unlink()

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_bytes", fail)
        warnings: list[str] = []
        assert len(fetch(made, cache, index=index.url, on_warning=warnings.append)) == 3
        assert warnings == [
            f"the cache {cache} cannot be written: No space left on device; the files will be fetched again next time"
        ]

    @pipes
    def test_an_entry_that_is_a_pipe_a_device_or_a_folder_is_an_error(self, made, cache, index):
        for file in made.packages[0].files:
            (cache / file.sha256).unlink()
        path = cache / made.packages[0].files[0].sha256
        for kind in SPECIAL:
            make_special(path, kind)
            with pytest.raises(ManifestError, match="is not a regular file"):
                fetch(made, cache, index=index.url)
            path.rmdir() if path.is_dir() else path.unlink()
