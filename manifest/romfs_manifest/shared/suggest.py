"""Suggestions for words that are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 2
"""The characters that an abbreviation has, at least."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant: the only one that ``word`` begins, or else the most similar."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    known = list(known)
    begun = [name for name in known if name.startswith(word) and len(word.lstrip("-")) >= _SHORTEST]
    return begun[0] if len(begun) == 1 else next(iter(difflib.get_close_matches(word, known, n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message; empty if no known word is similar."""
    near = closest(word, known)
    return f"; did you mean {near!r}?" if near else ""
