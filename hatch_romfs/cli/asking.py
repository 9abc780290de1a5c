"""Questions to the person at the terminal."""

from __future__ import annotations

import sys
from contextlib import suppress

from hatch_romfs.errors import one_line


def can_ask() -> bool:
    """Tell whether a person can answer; nothing is ever asked in a script."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def ask(question: str) -> bool:
    """Return whether the answer is yes. The end of the input means no, and keys typed earlier are not an answer."""
    with suppress(ImportError, OSError):  # Windows has no such module
        import termios  # noqa: PLC0415

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    sys.stderr.write(f"{one_line(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")
