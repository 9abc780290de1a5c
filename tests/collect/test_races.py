"""A neighbor who can write into a source folder replaces files and folders while a build reads them."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hatch_romfs.collect.folder import Folder
from hatch_romfs.errors import BuildError, RomfsError
from hatch_romfs.tree import DiskContent, files
from tests.collect.support import collected, failure, posix, write_files

pytestmark = posix

FOREIGN = "a secret of the same size"
HARMLESS = "what the sources have now"
WINDOWS = (1, 2, 3, 5, 1000)
"""For how many calls of the system the foreign file is there."""


class Neighbor:
    """Does ``replace`` right before one call of the system, and ``restore`` before a later one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, replace: Callable[[], object], restore: Callable[[], object]):
        self._steps: dict[int, Callable[[], object]] = {}
        self._replace, self._restore = replace, restore
        self._is_acting = self._is_replaced = False
        self.calls = 0
        for name in ("open", "stat", "lstat", "fstat", "scandir", "readlink"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, function):
        def call(*arguments, **options):
            if not self._is_acting:
                self.calls += 1
                if step := self._steps.get(self.calls):
                    self._act(step)
            return function(*arguments, **options)

        return call

    def _act(self, step: Callable[[], object]) -> None:
        self._is_acting = True
        step()
        self._is_replaced = step is self._replace
        self._is_acting = False

    def run(self, work: Callable[[], object], first: int, window: int) -> None:
        """Do the work while the foreign file is there from call ``first`` on, for a ``window`` of calls."""
        self.calls, self._steps = 0, {first: self._replace, first + window: self._restore}
        try:
            work()
        finally:
            self._steps = {}
            if self._is_replaced:
                self._act(self._restore)


def project_with_secret(folder: Path, name: str = "data") -> Path:
    """Make a project, and beside it a folder with a file that has the same name, size, and time as one of it."""
    write_files(folder, f"project/src/d/{name}", data=HARMLESS)
    write_files(folder, f"private/{name}", data=FOREIGN)
    for path in (f"project/src/d/{name}", f"private/{name}"):
        os.utime(folder / path, ns=(10**18, 10**18))
    return folder / "project"


def packed(root: Path, neighbor: Neighbor, **table: object) -> set[bytes]:
    """Read the tree with a replacement at each moment, and return what the file in it contained."""
    found: set[bytes] = set()

    def read() -> None:
        with suppress(RomfsError):
            for _, file in files(collected(root, **table).tree):
                with suppress(RomfsError):
                    found.add(file.read())

    neighbor.run(read, 0, 0)
    assert found == {HARMLESS.encode()}
    count = neighbor.calls
    assert count > 5
    for window in WINDOWS:
        for first in range(1, count + 1):
            neighbor.run(read, first, window)
    return found


@pytest.mark.parametrize("kind", ["its content", "a link into it", "a manifest"])
def test_a_folder_that_becomes_a_link_brings_no_foreign_file(kind, tmp_path, monkeypatch):
    root = project_with_secret(tmp_path, "app.py")
    table: dict[str, object] = {"mpy": False}
    if kind == "a link into it":
        (root / "src/link.py").symlink_to("d/app.py")
        table["exclude"] = ["/d"]  # which would be noticed
    elif kind == "a manifest":
        (root / "manifest.py").write_text('module("app.py", base_path="src/d")\n')
        table |= {"manifest": "manifest.py", "sources": []}
    folder, aside = root / "src/d", root / "aside"

    def replace() -> None:
        folder.rename(aside)
        folder.symlink_to(tmp_path / "private")

    def restore() -> None:
        folder.unlink()
        aside.rename(folder)

    assert packed(root, Neighbor(monkeypatch, replace, restore), **table) == {HARMLESS.encode()}


@pytest.mark.parametrize("kind", ["a link", "another file"])
def test_a_file_that_is_replaced_brings_no_foreign_file(kind, tmp_path, monkeypatch):
    root = project_with_secret(tmp_path)
    path, aside, secret = root / "src/d/data", root / "aside", tmp_path / "private/data"

    def replace() -> None:
        path.rename(aside)
        if kind == "a link":
            path.symlink_to(secret)
        else:
            path.hardlink_to(secret)

    # The sources can contain what is there for the whole time, but not under the identity of another file.
    found = packed(root, Neighbor(monkeypatch, replace, lambda: aside.replace(path)))
    assert found <= {HARMLESS.encode(), *([FOREIGN.encode()] if kind == "another file" else [])}


def test_a_link_whose_target_changes_brings_no_foreign_file(tmp_path, monkeypatch):
    root = project_with_secret(tmp_path)
    (root / "src/link").symlink_to("d/data")
    new = root / "new"

    def lead_to(target: object) -> Callable[[], None]:
        def step() -> None:
            new.symlink_to(target)
            new.rename(root / "src/link")

        return step

    neighbor = Neighbor(monkeypatch, lead_to(tmp_path / "private/data"), lead_to("d/data"))
    assert packed(root, neighbor) == {HARMLESS.encode()}


def test_a_manifest_s_file_that_becomes_a_link_brings_no_foreign_file(tmp_path, monkeypatch):
    root = project_with_secret(tmp_path, "app.py")
    (root / "manifest.py").write_text('module("app.py", base_path="src/d")\n')
    path, aside = root / "src/d/app.py", root / "aside"

    def replace() -> None:
        path.rename(aside)
        path.symlink_to(tmp_path / "private/app.py")

    neighbor = Neighbor(monkeypatch, replace, lambda: aside.replace(path))
    assert packed(root, neighbor, manifest="manifest.py", sources=[]) == {HARMLESS.encode()}


@pytest.mark.parametrize("kind", ["another file", "a link to it", "a hard link to it"])
def test_another_file_with_equal_size_and_time_is_not_read(tmp_path, kind):
    root = project_with_secret(tmp_path)
    ((_, file),) = files(collected(root).tree)
    path, secret = root / "src/d/data", tmp_path / "private/data"
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
            (tmp_path / "private").rename(root / "src/d")
        return original(self, found, above)

    monkeypatch.setattr(Folder, "_subdirectory", replaced)
    assert failure(root) == "cannot read src/d: it was replaced while it was being read"
