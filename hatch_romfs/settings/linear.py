r"""Gitignore patterns whose matching takes no longer than the path is long, however many wildcards they contain.

pathspec makes a regular expression of a pattern. For ``a*a*a*b`` Python's matcher would try every way to divide a name
among the wildcards, which takes seconds for one name. The first place where the text between two wildcards fits is
always right, because such a text has a fixed number of characters or of names. So it is enough to try that place.
Python has no syntax for this before 3.11, but a lookahead never tries another place: ``(?=(…))\1``.
"""

from __future__ import annotations

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_STAR = "[^/]*"
"""What pathspec makes of ``*``."""
_FOLDERS = "(?:/.+)?/"
"""What it makes of ``/**/``."""
_START = "^(?:.+/)?"
"""What it makes of ``**/`` at the start, and of a pattern without a slash."""


class LinearPattern(GitIgnoreSpecPattern):
    """A gitignore pattern as a regular expression that tries each wildcard at one place only."""

    @classmethod
    def pattern_to_regex(cls, pattern: str) -> tuple[str | None, bool | None]:  # type: ignore[override]
        """Return the regular expression of a pattern, and whether it excludes."""
        regex, include = super().pattern_to_regex(pattern)
        return regex and make_linear(regex), include


def make_linear(regex: str) -> str:
    """Return a regular expression that matches the same paths as one that pathspec made."""
    *chains, last = regex.split(_FOLDERS)
    count = 0

    def once(text: str) -> str:
        nonlocal count
        count += 1
        return f"(?=(?P<w{count}>{text}))(?P=w{count})"

    def chain(text: str, *, ends: bool) -> str:
        """Rewrite the stars of a text; a text that ``ends`` is followed by a slash."""
        first, *pieces = text.split(_STAR)
        if not pieces:
            return text
        inner = [once(f"[^/]*?{piece}") for piece in pieces[:-1]]
        final = f"{_STAR}{pieces[-1]}"
        return "".join((first, *inner, once(f"{final}(?=/)") if ends else final))

    written = []
    for index, text in enumerate(chains):
        start = "(?:/.+?)??/" if index else ""
        body = text
        if not index and text.startswith(_START):
            start, body = "(?:.+?/)??", text.removeprefix(_START)
            written.append("^")
        rewritten = f"{start}{chain(body, ends=True)}(?=/)"
        written.append(once(rewritten) if start else rewritten)
    written.append(f"{_FOLDERS if chains else ''}{chain(last, ends=False)}")
    return "".join(written)
