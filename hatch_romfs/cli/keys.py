"""Keys as they are typed, without waiting for Enter and without an echo; Ctrl-C stays an interrupt."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Keys = Callable[[], bytes]
    """Returns what was typed since the last call, without waiting."""

LEAVE: Final = b"\x1d"
"""Ctrl-], which ends a terminal program that passes all other keys on, such as miniterm."""
_MOST: Final = 1024
"""Bytes taken at once."""
_WINDOWS_KEYS: Final = {
    "H": "\x1b[A",
    "P": "\x1b[B",
    "M": "\x1b[C",
    "K": "\x1b[D",
    "G": "\x1b[H",
    "O": "\x1b[F",
    "S": "\x1b[3~",
}
"""The second character of a special key on Windows, and what a terminal sends for it."""


def no_keys() -> bytes:
    """Return nothing: there is no keyboard."""
    return b""


@contextmanager
def keyboard() -> Iterator[Keys]:
    """Read keys of the terminal that is standard input; without one, or in the background, there are none."""
    if not sys.stdin.isatty():
        yield no_keys
    elif sys.platform == "win32":
        yield _windows_keys
    else:
        with _terminal(sys.stdin.fileno()) as keys:
            yield keys


if sys.platform == "win32":

    def _windows_keys() -> bytes:
        import msvcrt  # noqa: PLC0415 - only there on Windows

        typed = ""
        while msvcrt.kbhit() and len(typed) < _MOST:
            key = msvcrt.getwch()
            typed += _WINDOWS_KEYS.get(msvcrt.getwch(), "") if key in "\x00\xe0" else key
        return typed.encode(errors="replace")

else:

    @contextmanager
    def _terminal(terminal: int) -> Iterator[Keys]:
        import termios  # noqa: PLC0415 - not there on Windows

        if os.tcgetpgrp(terminal) != os.getpgrp():  # changing the terminal would stop a program in the background
            yield no_keys
            return
        before = termios.tcgetattr(terminal)
        changed = termios.tcgetattr(terminal)
        changed[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
        changed[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        characters = list(changed[6])
        for unused in (termios.VQUIT, termios.VSUSP):
            characters[unused] = os.fpathconf(terminal, "PC_VDISABLE").to_bytes(1, "little")
        characters[termios.VMIN] = characters[termios.VTIME] = 0  # a read returns at once
        changed[6] = characters
        termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
        try:
            yield lambda: os.read(terminal, _MOST)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
