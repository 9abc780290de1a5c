"""Text of strangers in messages."""

from __future__ import annotations

_BYTES = 0xDC00
"""What Python adds to a byte of a name that it cannot decode."""


def one_line(text: str) -> str:
    """Return ``text`` as one line, with everything escaped that could move a cursor, change a color or hide text.

    Names come from boards, images, packages, and folders, and are hostile until proven otherwise: a newline is escaped
    too, so that no name can look like a line of our own.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    """Return a character as an escape; one that stands for a byte of a name that is not UTF-8 becomes that byte's."""
    byte = ord(char) - _BYTES
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]  # noqa: PLR2004
