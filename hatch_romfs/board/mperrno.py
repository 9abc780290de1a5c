"""MicroPython's error numbers, which are the same on every board; the host's ``errno`` may have others.

The numbers are those of ``py/mperrno.h`` (1.29).
"""

from __future__ import annotations

from typing import Final

EPERM: Final = 1
ENOENT: Final = 2
EIO: Final = 5
EBUSY: Final = 16
ENODEV: Final = 19
EINVAL: Final = 22
ENOSPC: Final = 28
EROFS: Final = 30
EOPNOTSUPP: Final = 95
ETIMEDOUT: Final = 110

NAMES: Final = {
    1: "EPERM",
    2: "ENOENT",
    3: "ESRCH",
    4: "EINTR",
    5: "EIO",
    6: "ENXIO",
    7: "E2BIG",
    8: "ENOEXEC",
    9: "EBADF",
    10: "ECHILD",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    14: "EFAULT",
    15: "ENOTBLK",
    16: "EBUSY",
    17: "EEXIST",
    18: "EXDEV",
    19: "ENODEV",
    20: "ENOTDIR",
    21: "EISDIR",
    22: "EINVAL",
    23: "ENFILE",
    24: "EMFILE",
    25: "ENOTTY",
    26: "ETXTBSY",
    27: "EFBIG",
    28: "ENOSPC",
    29: "ESPIPE",
    30: "EROFS",
    31: "EMLINK",
    32: "EPIPE",
    33: "EDOM",
    34: "ERANGE",
    95: "EOPNOTSUPP",
    97: "EAFNOSUPPORT",
    98: "EADDRINUSE",
    103: "ECONNABORTED",
    104: "ECONNRESET",
    105: "ENOBUFS",
    106: "EISCONN",
    107: "ENOTCONN",
    110: "ETIMEDOUT",
    111: "ECONNREFUSED",
    113: "EHOSTUNREACH",
    114: "EALREADY",
    115: "EINPROGRESS",
    125: "ECANCELED",
}


def describe(number: int) -> str:
    """Return the name of an error that a board raised or returned, and its number as given: ``EIO (-5)``."""
    return f"{NAMES.get(abs(number), 'unknown error')} ({number})"
