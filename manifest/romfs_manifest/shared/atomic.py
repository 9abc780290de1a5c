"""Replacing a file in one step: readers see the old file or the new one, never a part of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from romfs_manifest.shared.opening import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUFFIX = ".romfs-tmp"
"""The end of a temporary file's name; such files are never packed into an image."""


@contextlib.contextmanager
def replace_atomically(
    path: str | os.PathLike[str],
    *,
    move: Callable[[str, str | os.PathLike[str]], None] | None = None,
    clean: bool = True,
) -> Iterator[str]:
    """Yield the path of a new, empty file beside ``path``, which then replaces ``path``.

    The file is locked while the block runs, so ``remove_leftovers`` sees whether somebody still writes it. If the block
    raises, it is removed and ``path`` stays as it was. ``move`` renames it in another way than ``os.replace``. With
    ``clean``, leftovers of killed processes for the same path are removed first. Raises OSError.
    """
    folder, name = os.path.split(os.fspath(path))
    if clean:
        remove_leftovers(folder or os.curdir, f"{name}.")
    temporary, descriptor = _create_locked(folder, name)
    try:
        if os.name == "nt":  # which does not rename open files
            os.close(descriptor)
            descriptor = -1
        yield temporary
        (move or os.replace)(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def remove_leftovers(folder: str | os.PathLike[str], name: str = "") -> None:
    """Remove temporary files that killed processes have left in ``folder``: those for ``name``, or all.

    A file that is locked belongs to a process that runs, wherever it runs, and stays.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        for found in os.listdir(folder):  # noqa: PTH208 - names suffice
            if found.startswith(f".{name}") and found.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    _remove_unlocked(Path(folder) / found)


def lock_new(descriptor: int) -> bool:
    """Lock a file that was just created; return whether it still exists, and otherwise close it.

    Another process may have taken it for a leftover before it was locked.
    """
    import fcntl  # noqa: PLC0415 - not on Windows

    with contextlib.suppress(OSError):  # some file systems have no locks; nobody removes their files
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if os.fstat(descriptor).st_nlink:
        return True
    os.close(descriptor)
    return False


def lock_unused(descriptor: int) -> None:
    """Lock a file. Raises OSError if its process still runs."""
    import fcntl  # noqa: PLC0415 - not on Windows

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _create_locked(folder: str, name: str) -> tuple[str, int]:
    while True:
        # half of a Path's time
        temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}{SUFFIX}")  # noqa: PTH118
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o666)
        if os.name == "nt" or lock_new(descriptor):
            return temporary, descriptor


def _remove_unlocked(path: Path) -> None:
    """Remove a file unless somebody has locked it. Raises OSError."""
    descriptor = open_regular(path, follow=False)
    try:
        lock_unused(descriptor)
        path.unlink()
    finally:
        os.close(descriptor)
