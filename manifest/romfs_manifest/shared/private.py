"""Folders and files that only this user, or root, could have written: what a cache believes."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from romfs_manifest.shared.opening import open_regular, read_descriptor

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = 0o077
"""The permissions of everybody but the owner."""


def protect(folder: Path) -> None:
    """Take the permissions of others away from a folder. Raises OSError if it is somebody else's, or missing."""
    check_folder(folder)
    if os.name == "posix" and folder.stat().st_mode & _OTHERS:
        folder.chmod(0o700)  # an older version created it for all to read


def create_private(folder: Path) -> None:
    """Create a folder for this user alone, if it does not exist. Raises OSError if it is somebody else's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(0o700, exist_ok=True)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise OSError if a folder, or a link to it, belongs to another user than this one or root, or does not exist."""
    _check_owner(folder.lstat(), folder)
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    _check_owner(status, folder)


def read_own(path: str | os.PathLike[str], limit: int, *, secret: bool = False) -> bytes:
    """Return the bytes of a regular file of this user or root, of which there can be at most ``limit``.

    A ``secret`` must not be readable by others. Raises OSError, also for a link; never waits for a pipe.
    """
    descriptor = open_regular(path, follow=False)
    try:
        status = os.fstat(descriptor)
        _check_owner(status, path)
        if secret and os.name == "posix" and status.st_mode & _OTHERS:
            raise PermissionError(errno.EACCES, "others can read it", str(path))
    except OSError:
        os.close(descriptor)
        raise
    return read_descriptor(descriptor, path, limit)


def _check_owner(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(errno.EACCES, "it belongs to another user", str(path))
