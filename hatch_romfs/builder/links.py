"""Where an output goes if its path contains links: never where somebody else has put one to mislead."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from hatch_romfs.errors import SettingsError

_SHARED = stat.S_ISVTX | stat.S_IWOTH
"""The mode of folders such as /tmp, in which everybody can create files."""
_MAX_LINKS = 40


def resolve_output(out: Path) -> Path:
    """Return the path without links. Raises SettingsError for another user's link in a folder that all can write to.

    The rule is that of Linux (``protected_symlinks``), which applies only if the system itself follows the link. Raises
    OSError for a loop.
    """
    if os.name == "nt":
        return out.resolve()
    at, waiting, links = Path("/"), list(reversed((Path.cwd() / out).parts[1:])), 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            at = at.parent
            continue
        here = at / part
        try:
            status = here.lstat()
        except (FileNotFoundError, NotADirectoryError):
            at = here
            continue
        if not stat.S_ISLNK(status.st_mode):
            at = here
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(out))
        folder = at.stat()
        if folder.st_mode & _SHARED == _SHARED and status.st_uid not in (os.geteuid(), folder.st_uid):
            raise SettingsError(
                f"{here} is a link of another user in a folder that everybody can write to",
                hint="Remove it, or choose another output.",
            )
        target = Path(os.readlink(here))  # noqa: PTH115
        at = Path("/") if target.is_absolute() else at
        waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return at
