"""The text of modules: whatever encoding a file declares, MicroPython gets UTF-8 without a byte order mark.

The rules are those of CPython and PEP 263: UTF-8, unless one of the first two lines declares something else.
MicroPython ignores such a declaration, and reads a byte order mark as part of the first name.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

HINT: Final = "Save it as UTF-8, or declare its encoding on line 1 or 2, such as `# -*- coding: latin-1 -*-`."
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_COMMENT = re.compile(rb"^[ \t\f]*(?:#|$)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


class CompileError(Exception):
    """One module does not compile: ``line`` is in the source, None if unknown, and ``reason`` says why."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class SourceError(CompileError):
    """The text of a module does not have the encoding that it should have."""


def normalize_source(data: bytes) -> bytes:
    """Return the text of a module as UTF-8 without a byte order mark; a declared encoding becomes ``utf-8``.

    Line breaks stay as they are. Raises CompileError if CPython could not read the text either.
    """
    for mark, name in _OTHER_MARKS:
        if data.startswith(mark):
            raise SourceError(1, f"the text is {name}, which Python does not read")
    if b"\0" in data:
        raise CompileError(_line(data, data.index(b"\0")), "the text contains a NUL byte")
    text = data.removeprefix(codecs.BOM_UTF8)
    cookie = _find_cookie(text)
    if cookie is None:
        _decode(text, "utf-8", None)
        return text
    start, end = cookie
    line = _line(text, start)
    codec = _lookup(text[start:end].decode(), line)
    if codec == "utf-8":
        _decode(text, codec, line)
        return text
    if len(text) != len(data):
        raise SourceError(line, f"the text declares {codec}, but begins with the byte order mark of UTF-8")
    text = _decode(text, codec, line).encode()
    start, end = _find_cookie(text) or (0, 0)
    return text[:start] + b"utf-8" + text[end:]


def _find_cookie(text: bytes) -> tuple[int, int] | None:
    """Return the start and the end of the name of the encoding in a declaration, or None if there is none."""
    start = 0
    for _ in range(2):
        line_end = _LINE_END.search(text, start)
        line = text[start : line_end.start() if line_end else len(text)]
        if found := _COOKIE.match(line):
            return start + found.start(1), start + found.end(1)
        if line_end is None or not _COMMENT.match(line):
            return None
        start = line_end.end()
    return None


def _lookup(name: str, line: int) -> str:
    """Return the standard name of an encoding, which must be one that Python source can have."""
    try:
        codec = codecs.lookup(name).name
        is_superset_of_ascii = b"#".decode(codec) == "#"
    except (LookupError, UnicodeError):
        raise SourceError(line, f"unknown encoding {name!r}") from None
    if not is_superset_of_ascii:
        raise SourceError(line, f"Python source cannot be {codec}")
    return "utf-8" if codec == "utf-8-sig" else codec


def _decode(text: bytes, codec: str, declared: int | None) -> str:
    if codec == "utf-8" and text.isascii():
        return ""  # the caller keeps the bytes
    try:
        return text.decode(codec)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{text[error.start]:02x}"
        raise SourceError(_line(text, error.start), f"the text is not valid {codec.upper()}: {byte}") from None
    except UnicodeError:
        raise SourceError(declared, f"the text is not valid {codec.upper()}") from None


def _line(data: bytes, offset: int) -> int:
    """Return the number of the line that contains a byte."""
    return len(_LINE_END.findall(data[:offset])) + 1
