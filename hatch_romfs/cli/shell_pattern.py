"""Shell patterns on bytes, as the ``fnmatch`` of glibc matches them for genromfs, in time that does not explode.

genromfs never sets a locale, so a character is a byte, and classes and ranges are those of ASCII. Its flags are
FNM_PATHNAME, so nothing but a slash matches a slash, and FNM_PERIOD, so only a dot matches a dot at the start of a
name. A bracket without an end is a normal character; other patterns that are not well-formed match nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLASSES: dict[str, Callable[[str], bool]] = {
    "alnum": str.isalnum,
    "alpha": str.isalpha,
    "blank": lambda char: char in " \t",
    "cntrl": lambda char: ord(char) < 0x20 or char == "\x7f",  # noqa: PLR2004 - a space
    "digit": str.isdigit,
    "graph": lambda char: char.isprintable() and char != " ",
    "lower": str.islower,
    "print": str.isprintable,
    "punct": lambda char: char.isprintable() and not char.isalnum() and char != " ",
    "space": lambda char: char in " \t\n\r\f\v",
    "upper": str.isupper,
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}
_ASCII = 128
_SLASH, _DOT, _CLOSING = b"/.]"
_CLASS, _EQUIVALENT, _SYMBOL = (
    re.compile(text, re.DOTALL) for text in (rb"\[:([a-z]*):\]", rb"\[=(.)=\]", rb"\[\.(.*?)\.\]")
)
_ANY = frozenset(range(256))


class _Token(NamedTuple):
    """What matches one byte: a ``literal`` or a wildcard, which never matches a slash or a dot at the start."""

    matching: frozenset[int]
    literal: bool = False


_STAR = _Token(frozenset())


class _NeverError(Exception):
    """The pattern matches nothing."""


def compile_pattern(pattern: bytes) -> Callable[[bytes], bool]:
    """Return a function that tells whether a pattern matches a name, or a path if there are slashes in it."""
    try:
        tokens = tuple(_tokens(pattern))
    except _NeverError:
        return lambda _text: False
    return lambda text: _match(tokens, text)


def _match(tokens: tuple[_Token, ...], text: bytes) -> bool:
    """Try each star with the shortest text first; a later star never needs an earlier one to be tried again."""
    index = at = 0
    star = -1
    star_at = 0
    while at < len(text):
        token = tokens[index] if index < len(tokens) else None
        if token is _STAR and not _is_first_dot(text, at):
            star, star_at = index, at
            index += 1
        elif token is not None and _fits(token, text, at):
            index += 1
            at += 1
        elif star >= 0 and text[star_at] != _SLASH:
            star_at += 1
            index, at = star + 1, star_at
        else:
            return False
    return all(token is _STAR for token in tokens[index:])


def _fits(token: _Token, text: bytes, at: int) -> bool:
    if text[at] not in token.matching:
        return False
    return token.literal or not (text[at] == _SLASH or _is_first_dot(text, at))


def _is_first_dot(text: bytes, at: int) -> bool:
    return text[at] == _DOT and (at == 0 or text[at - 1] == _SLASH)


def _tokens(pattern: bytes) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        at += 1
        if char == b"*":
            yield _STAR
        elif char == b"?":
            yield _Token(_ANY)
        elif char == b"[" and (bracket := _Bracket(pattern, at)).is_closed:
            yield _Token(bracket.matching)
            at = bracket.at
        else:
            if char == b"\\":
                char = pattern[at : at + 1]
                at += 1
                if not char:
                    raise _NeverError
            yield _Token(frozenset(char), literal=True)


class _Bracket:
    """What stands between ``[`` and ``]``: which bytes it matches, and where the pattern continues."""

    def __init__(self, pattern: bytes, at: int) -> None:
        self._pattern = pattern
        self._found: set[int] = set()
        self._is_spoiled = False
        self._is_negated = pattern[at : at + 1] in (b"!", b"^")
        self.is_closed = False
        self.at = first = at + self._is_negated
        while self.at < len(pattern) and not self.is_closed:
            if pattern[self.at] == _CLOSING and self.at > first:
                self.at += 1
                self.is_closed = True
            else:
                self._read_element()

    @property
    def matching(self) -> frozenset[int]:
        """The bytes that it matches: if part of it is not valid, those that come before that part."""
        if self._is_negated:
            return frozenset() if self._is_spoiled else _ANY - self._found
        return frozenset(self._found)

    def _read_element(self) -> None:
        if name := _CLASS.match(self._pattern, self.at):
            self.at = name.end()
            self._add_class(name[1].decode())
        elif equal := _EQUIVALENT.match(self._pattern, self.at):
            self.at = equal.end()
            self._add(equal[1])
        else:
            self._read_range()

    def _read_range(self) -> None:
        start = self._read_byte()
        following = self._pattern[self.at : self.at + 2]
        if not following.startswith(b"-") or following == b"-]":
            self._add(start)
            return
        self.at += 1
        end = self._read_byte()
        if start and end:
            self._add(bytes(range(start[0], end[0] + 1)))

    def _read_byte(self) -> bytes:
        """Return a byte, or none if its name is not valid; only a byte itself is a valid name."""
        if symbol := _SYMBOL.match(self._pattern, self.at):
            self.at = symbol.end()
            self._is_spoiled |= len(symbol[1]) != 1
            return symbol[1][:1]
        if self._pattern[self.at : self.at + 1] == b"\\":
            self.at += 1
        self.at += 1
        if self.at > len(self._pattern):
            raise _NeverError
        return self._pattern[self.at - 1 : self.at]

    def _add_class(self, name: str) -> None:
        if name in _CLASSES:
            self._add(bytes(code for code in range(_ASCII) if _CLASSES[name](chr(code))))
        self._is_spoiled |= name not in _CLASSES

    def _add(self, found: bytes) -> None:
        if not self._is_spoiled:
            self._found |= set(found)
