"""Error numbers of MicroPython boards: the same on every port, unlike the host's ``errno``."""

from __future__ import annotations

from typing import Final

EINVAL: Final = 22
NAMES: Final = {
    1: "EPERM",
    2: "ENOENT",
    5: "EIO",
    12: "ENOMEM",
    13: "EACCES",
    16: "EBUSY",
    19: "ENODEV",
    22: "EINVAL",
    28: "ENOSPC",
    30: "EROFS",
    95: "EOPNOTSUPP",
    110: "ETIMEDOUT",
}


def describe(number: int) -> str:
    """Return an error number with its name."""
    name = NAMES.get(abs(number))
    return f"{number} ({name})" if name else str(number)
