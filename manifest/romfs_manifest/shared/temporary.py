"""Temporary folders, which the next process removes if the one that made them was killed.

Each contains a file that is locked while its process runs. A folder is a leftover only if it belongs to the same user
and contains such a file that no process has locked: another user may have renamed any folder so that it looks like one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from romfs_manifest.shared.atomic import SUFFIX, lock_new, lock_unused
from romfs_manifest.shared.opening import HAS_DESCRIPTORS, open_folder, open_regular

if TYPE_CHECKING:
    from types import TracebackType

LOCK = ".lock"
"""The file in a temporary folder that is locked."""


class TemporaryFolder:
    """A new folder of this user alone in ``parent``, by default where the system keeps temporary files.

    ``path`` is where it is. It is removed at the end of a ``with`` block, by ``remove``, or with this object. Making
    one removes leftovers in ``parent`` whose names begin with the same ``prefix``. Raises OSError.
    """

    def __init__(self, parent: str | os.PathLike[str] | None = None, prefix: str = "hatch-romfs-") -> None:
        if parent is None:
            import tempfile  # noqa: PLC0415 - it takes longer to import than all of the rest

            parent = tempfile.gettempdir()
        remove_leftover_folders(parent, prefix)
        self.path, descriptor = _create_locked(Path(parent), prefix)
        self.remove = weakref.finalize(self, _remove, self.path, descriptor)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def remove_leftover_folders(parent: str | os.PathLike[str], prefix: str) -> None:
    """Remove the temporary folders of killed processes in ``parent`` whose names begin with ``prefix``."""
    if not HAS_DESCRIPTORS:
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):  # noqa: PTH208 - names suffice
            if name.startswith(prefix) and name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    _remove_unlocked(Path(parent) / name)


def _create_locked(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = parent / f"{prefix}{os.urandom(8).hex()}{SUFFIX}"
        path.mkdir(0o700)
        if not HAS_DESCRIPTORS:
            return path, -1
        try:
            descriptor = os.open(path / LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another process took it for a leftover before it was locked
        except OSError:  # the disk is full
            path.rmdir()
            raise
        if lock_new(descriptor):
            return path, descriptor


def _remove(path: Path, descriptor: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if descriptor >= 0:
        os.close(descriptor)


def _remove_unlocked(path: Path) -> None:
    """Remove a folder unless it is in use or was not made by ``TemporaryFolder``. Raises OSError."""
    folder = open_folder(path, follow=False)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            return
        try:
            lock = open_regular(LOCK, follow=False, within=folder)
        except FileNotFoundError:
            path.rmdir()  # it is empty if its process was killed before it made the lock
            return
        try:
            lock_unused(lock)
            _empty(folder)
            os.unlink(LOCK, dir_fd=folder)  # last: without it, the rest would never be removed
            path.rmdir()
        finally:
            os.close(lock)
    finally:
        os.close(folder)


def _empty(folder: int) -> None:
    """Remove everything in an open folder but its lock, whatever the path of the folder is by now. Raises OSError."""
    for inner, folders, names, at in os.fwalk(topdown=False, dir_fd=folder):
        for name in names:
            if (inner, name) != (".", LOCK):
                os.unlink(name, dir_fd=at)
        for name in folders:
            if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                os.rmdir(name, dir_fd=at)
            else:
                os.unlink(name, dir_fd=at)
