"""Replacing a file in one step: readers see the old file or the new one, never a part of it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUFFIX = ".romfs-tmp"
"""The end of a temporary file's name; such files are never packed into an image."""


@contextlib.contextmanager
def replace_atomically(
    path: str | os.PathLike[str], *, move: Callable[[str, str | os.PathLike[str]], None] | None = None
) -> Iterator[str]:
    """Yield the path of a temporary file beside ``path``, which the caller creates; it then replaces ``path``.

    If the block raises, the temporary file is removed and ``path`` stays as it was. ``move`` renames it in
    another way than ``os.replace``. Raises OSError.
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}{SUFFIX}")  # noqa: PTH118 - half of a Path's time
    try:
        yield temporary
        (move or os.replace)(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
