"""Opening what somebody else may replace at any moment: what is checked is the open file, never a path."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TypeAlias

Identity: TypeAlias = tuple[int, int]
"""The numbers of the device and of the inode: one file or folder, whatever its path."""

# O_NONBLOCK: opening a pipe would otherwise wait for a writer. Windows has neither pipes in folders nor these flags.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
HAS_DESCRIPTORS = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
"""Whether folders can be opened and files looked up from there, as on POSIX systems."""


def identity(status: os.stat_result) -> Identity | None:
    """Return what identifies a file, or None where the system does not say, as in the folders of Windows."""
    return (status.st_dev, status.st_ino) if status.st_ino else None


def open_regular(path: str | os.PathLike[str], *, follow: bool = True, within: int | None = None) -> int:
    """Open a regular file for reading and return its descriptor; never waits for a pipe or a device.

    Without ``follow`` the last part of the path must not be a link. With ``within``, the descriptor of a folder, the
    path is relative to that. Raises OSError.
    """
    descriptor = os.open(path, _FLAGS if follow else _FLAGS | _NO_FOLLOW, dir_fd=within)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the bytes of a regular file, of which there can be at most ``limit``. Raises OSError."""
    return read_descriptor(open_regular(path), path, limit)


def read_descriptor(descriptor: int, path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the bytes of an open file, of which there can be at most ``limit``, and close it. Raises OSError."""
    with open(descriptor, "rb", buffering=0) as file:
        data = bytearray()
        while len(data) <= limit and (chunk := file.read(min(limit, 1 << 20) + 1)):
            data += chunk
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return bytes(data)


def open_folder(path: str | os.PathLike[str], *, expected: Identity | None = None, follow: bool = True) -> int:
    """Open a folder and return its descriptor. Raises OSError if it is not the ``expected`` one.

    Without ``follow`` the last part of the path must not be a link.
    """
    descriptor = os.open(path, _FLAGS | _DIRECTORY | (0 if follow else _NO_FOLLOW))
    if expected is not None and identity(os.fstat(descriptor)) != expected:
        os.close(descriptor)
        raise OSError(errno.ESTALE, "it was replaced while it was being read", str(path))
    return descriptor


def status_beneath(root: str, real: str) -> os.stat_result:
    """Return the status of ``real``, a path without links below the folder ``root``.

    No part of the path below ``root`` is followed if it has become a link since. Raises OSError.
    """
    if not HAS_DESCRIPTORS:
        return os.stat(real, follow_symlinks=False)  # noqa: PTH116 - strings throughout
    *folders, name = Path(real).relative_to(root).parts or (".",)
    at = os.open(root, _FLAGS | _DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, _FLAGS | _DIRECTORY | _NO_FOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return os.stat(name, dir_fd=at, follow_symlinks=False)
    finally:
        os.close(at)
