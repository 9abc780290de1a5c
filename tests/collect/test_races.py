"""A neighbor who can write into a source folder replaces files and folders while a build reads them."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hatch_romfs.collect.folder import Folder
from hatch_romfs.errors import BuildError, RomfsError
from hatch_romfs.tree import DiskContent, files
from tests.collect.support import collected, failure, posix, write_files

pytestmark = posix

FOREIGN = "a secret of the same size"
HARMLESS = "what the sources have now"
ATTEMPTS = 400


@contextmanager
def swapping(*steps: Callable[[], object]) -> Iterator[None]:
    """Do the steps again and again, in a thread of its own, until the block ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            for step in steps:
                step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def project_with_secret(root: Path) -> Path:
    """Make a project, and beside it a folder with a file that has the same name, size, and time as one of it."""
    write_files(root, "src/d/data", data=HARMLESS)
    write_files(root, "private/data", data=FOREIGN)
    for path in ("src/d/data", "private/data"):
        os.utime(root / path, ns=(10**18, 10**18))
    return root


def packed(root: Path, **table: object) -> set[bytes]:
    """Read the tree again and again, and return what the file in it contained."""
    found = set()
    for _ in range(ATTEMPTS):
        with suppress(RomfsError):
            found |= {file.read() for _, file in files(collected(root, **table).tree)}
    return found


def test_a_folder_that_becomes_a_link_brings_no_foreign_file(tmp_path):
    root = project_with_secret(tmp_path)
    folder, aside = root / "src/d", root / "aside"

    def replace() -> None:
        folder.rename(aside)
        folder.symlink_to(root / "private")

    def restore() -> None:
        folder.unlink()
        aside.rename(folder)

    with swapping(replace, restore):
        assert packed(root) <= {HARMLESS.encode()}


def test_a_file_that_becomes_a_link_brings_no_foreign_file(tmp_path):
    root = project_with_secret(tmp_path)
    path, link, aside = root / "src/d/data", root / "link", root / "aside"

    def replace() -> None:
        link.symlink_to(root / "private/data")
        path.rename(aside)
        link.rename(path)

    def restore() -> None:
        aside.rename(path)

    with swapping(replace, restore):
        assert packed(root) <= {HARMLESS.encode()}


def test_a_link_whose_target_changes_brings_no_foreign_file(tmp_path):
    root = project_with_secret(tmp_path)
    (root / "src/link").symlink_to("d/data")
    new = root / "new"

    def lead_to(target: object) -> Callable[[], None]:
        def step() -> None:
            new.symlink_to(target)
            new.rename(root / "src/link")

        return step

    with swapping(lead_to(root / "private/data"), lead_to("d/data")):
        assert packed(root) <= {HARMLESS.encode()}


def test_a_manifest_s_file_that_becomes_a_link_brings_no_foreign_file(tmp_path):
    root = project_with_secret(tmp_path)
    (root / "src/d/data").rename(root / "app.py")
    (root / "manifest.py").write_text('module("app.py")\n')
    path, link, aside = root / "app.py", root / "link", root / "aside"

    def replace() -> None:
        link.symlink_to(root.parent / "private")
        path.rename(aside)
        link.rename(path)

    private = root.parent / "private"
    private.write_text(FOREIGN)
    os.utime(private, ns=(10**18, 10**18))
    with swapping(replace, lambda: aside.rename(path)):
        assert packed(root, manifest="manifest.py", sources=[]) <= {HARMLESS.encode()}


@pytest.mark.parametrize("kind", ["another file", "a link to it", "a hard link to it"])
def test_another_file_with_equal_size_and_time_is_not_read(tmp_path, kind):
    root = project_with_secret(tmp_path)
    ((_, file),) = files(collected(root).tree)
    path, secret = root / "src/d/data", root / "private/data"
    path.rename(root / "kept")  # so that its inode is not used again
    if kind == "another file":
        secret.rename(path)
    elif kind == "a link to it":
        path.symlink_to(secret)
    else:
        path.hardlink_to(secret)
    with pytest.raises(BuildError, match=r"data changed while|Too many levels of symbolic links"):
        file.read()


@pytest.mark.parametrize("kind", ["a fifo", "a folder", "a device"])
def test_what_is_no_longer_a_file_fails_at_once(tmp_path, kind):
    root = project_with_secret(tmp_path)
    ((_, file),) = files(collected(root).tree)
    assert isinstance(file.content, DiskContent)
    path = root / "src/d/data"
    path.unlink()
    if kind == "a fifo":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        file = file._replace(content=file.content._replace(path="/dev/zero"))
    with pytest.raises(BuildError, match="cannot read .*: (it is not a regular file|Is a directory)"):
        file.read()


def test_a_folder_that_is_replaced_after_its_parent_was_read(tmp_path, monkeypatch):
    root = project_with_secret(tmp_path)
    original = Folder._subdirectory

    def replaced(self, found, above):
        if found.name == "d":
            (root / "src/d").rename(root / "aside")
            (root / "private").rename(root / "src/d")
        return original(self, found, above)

    monkeypatch.setattr(Folder, "_subdirectory", replaced)
    assert failure(root) == "cannot read src/d: it was replaced while it was being read"
