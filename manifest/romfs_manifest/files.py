"""Files on disk, read within bounds and never from a pipe or a device."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from romfs_manifest.errors import ManifestError, MissingFileError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE = 32 * 1024 * 1024
"""Maximum size of a file for an image, in bytes, wherever the file comes from."""

# O_NONBLOCK: opening a pipe would otherwise wait for a writer. Windows has neither pipes in folders nor these flags.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """Return the bytes of a regular file.

    Raises MissingFileError if it does not exist, and ManifestError if it cannot be read, is not a regular file, or
    has more than ``limit`` bytes.
    """
    try:
        # The open file is checked, not the path: the path could name another file by then.
        with open(path, "rb", opener=lambda name, _: os.open(name, _FLAGS)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ManifestError(f"{path} is not a regular file", hint="Remove it, or name another file.")
            data = file.read(min(limit, status.st_size) + 1)  # which reserves memory for that many bytes
            while len(data) <= limit and (more := file.read(1 << 16)):  # the file has grown
                data += more
    except OSError as error:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir() raises OSError; Windows does not open folders
            raise ManifestError(f"{path} is not a regular file", hint="Name a file, not a folder.") from error
        raise unreadable(path, error) from error
    if len(data) > limit:
        raise ManifestError(f"{path} has more than {limit:,} bytes", hint="Leave it out, or split it.")
    return data


def unreadable(path: Path, error: OSError) -> ManifestError:
    """Return the error for a file or folder that cannot be read."""
    kind = MissingFileError if isinstance(error, FileNotFoundError | NotADirectoryError) else ManifestError
    return kind(f"cannot read {path}: {error.strerror}", hint="Check that it exists and that you may read it.")


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return a TOML document; raises ValueError."""
    from romfs_manifest.shared.toml import loads  # noqa: PLC0415 - the start of a command does not need it

    try:
        return loads(data.decode("utf-8-sig"))  # an editor may have added a byte order mark
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
