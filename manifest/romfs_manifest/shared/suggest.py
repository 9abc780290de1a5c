"""Suggestions for words that are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 2
"""The characters that an abbreviation has, at least."""
_SIMILARITY = 0.65
"""How similar a word must be, from 0 to 1: with difflib's 0.6, ``sbom`` would be taken for ``symbol``."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant: the only one that ``word`` begins, or else the most similar."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    names = {name.lstrip("-"): name for name in known}  # every option has dashes, which make none similar to another
    word = word.lstrip("-")
    begun = [name for name in names if name.startswith(word) and len(word) >= _SHORTEST]
    near = begun if len(begun) == 1 else difflib.get_close_matches(word, names, n=1, cutoff=_SIMILARITY)
    return names[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message; empty if no known word is similar."""
    near = closest(word, known)
    return f"; did you mean {near!r}?" if near else ""
