"""The user's cache: data under names that say all it depends on, for compiled modules and images on boards.

An entry is a keyed hash of its name and its data, followed by the data. The key of these hashes is a file that only the
user can read. So an entry that is damaged, was written by another user, or was stored under another name does not
match, and counts as missing. The folder can be removed at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
from functools import cached_property
from pathlib import Path

from romfs_manifest.shared.atomic import remove_leftovers, replace_atomically
from romfs_manifest.shared.private import create_private, protect, read_own

_DIGEST = 32
_LIMIT = 32 << 20
"""Bytes of an entry, at most."""


class Cache:
    """A cache in ``folder``; if that does not exist, or belongs to another user, nothing is stored or read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cleaned = False

    @classmethod
    def of_user(cls, name: str = "mpy") -> Cache:
        """Return the cache of this name that all projects of the user share."""
        try:
            from platformdirs import user_cache_path  # noqa: PLC0415 - not needed with --no-cache
        except ModuleNotFoundError:  # in a browser, whose files last as long as the page
            folder = Path.home() / ".cache" / "hatch-romfs" / name
        else:
            folder = user_cache_path("hatch-romfs", appauthor=False) / name
        with contextlib.suppress(OSError):  # then it cannot be used
            create_private(folder)
        return cls(folder)

    def get(self, key: str) -> bytes | None:
        """Return the data that was stored under ``key``, or None."""
        if self._secret is None:
            return None
        try:
            entry = read_own(self._path(key), _LIMIT)
        except OSError:
            return None
        data = entry[_DIGEST:]
        return data if hmac.compare_digest(self._digest(key, data), entry[:_DIGEST]) else None

    def put(self, key: str, data: bytes) -> None:
        """Store ``data``, if the folder can be written: a build works without a cache."""
        if self._secret is None:
            return
        if not self._cleaned:
            self._cleaned = True
            remove_leftovers(self.folder)
        with (
            contextlib.suppress(OSError),
            replace_atomically(self._path(key), clean=False) as temporary,
            open(temporary, "wb", buffering=0) as file,  # noqa: PTH123 - Path.open takes twice as long
        ):
            file.write(self._digest(key, data) + data)

    def trim(self, entries: int, size: int) -> None:
        """Remove the oldest entries until there are at most so many, and so many bytes."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as found:
            statuses = [(entry.stat(follow_symlinks=False), entry.path) for entry in found if entry.name[0] != "."]
            for status, path in sorted(statuses, key=lambda one: -one[0].st_mtime_ns):
                entries, size = entries - 1, size - status.st_size
                if entries < 0 or size < 0:
                    Path(path).unlink(missing_ok=True)

    @cached_property
    def _secret(self) -> bytes | None:
        """The key of the hashes, or None if the folder cannot be used."""
        try:
            return _private_key(self.folder)
        except OSError:
            return None

    def _digest(self, key: str, data: bytes) -> bytes:
        return hmac.digest(self._secret or b"", key.encode() + b"\0" + data, "sha256")

    def _path(self, key: str) -> str:
        return f"{self.folder}{os.sep}{key}"


def _private_key(folder: Path) -> bytes:
    """Return the key beside ``folder``, which is created if it is missing.

    Raises OSError, also if others could have written either.
    """
    protect(folder)
    path = folder.with_name(f"{folder.name}.key")
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            file.write(os.urandom(_DIGEST))
    secret = read_own(path, _DIGEST, secret=True)
    if len(secret) != _DIGEST:
        raise OSError(errno.EINVAL, "it is not a key", str(path))
    return secret
