"""Which names are left out, by gitignore patterns."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Match: TypeAlias = "Callable[[str], bool]"
"""Says of a path, a directory's ending in ``/``, whether patterns match it."""

PASSING = ".romfs-tmp"
"""The end of the name that an image has while it is being written."""

_NAMES = frozenset(
    (
        # version control
        ".git", ".gitignore", ".gitattributes", ".gitmodules", ".hg", ".svn",
        # Python's and its tools' leftovers
        "__pycache__", ".venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
        ".coverage",
        # systems' and editors' leftovers
        ".DS_Store", "Thumbs.db", "desktop.ini", ".idea", ".vscode",
    )
)  # fmt: skip
_AFFIXES = (
    ("", ".pyc"), ("", ".pyo"), ("", ".egg-info"),
    ("", "~"), ("", ".swp"), ("", ".swo"), (".#", ""), ("#", "#"),
    # images, which would hold the last build's own artifact; `!*.romfs` takes them in
    ("", ".romfs"), ("", PASSING),
)  # fmt: skip
BUILT_IN = (*sorted(_NAMES), *(f"{start}*{end}" for start, end in _AFFIXES))
"""Patterns of what is left out everywhere, unless a later pattern takes it in again."""


def is_built_in(path: str) -> bool:
    """Say whether one of BUILT_IN matches: what pathspec would say, in a tenth of the time that importing it takes."""
    name = path.rstrip("/").rpartition("/")[2]
    return name in _NAMES or any(
        name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end) for start, end in _AFFIXES
    )


def excluded(patterns: Sequence[str]) -> Match:
    """Return what says whether a path is left out: by BUILT_IN, and then by ``patterns``."""
    return compiled([*BUILT_IN, *patterns]) if patterns else is_built_in


def compiled(patterns: Sequence[str]) -> Match:
    """Compile gitignore patterns that ``pattern_problem`` has nothing against, a later one outranking an earlier."""
    lines = [_escaped(pattern) for pattern in patterns]
    if not lines:
        return lambda _: False
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - takes a tenth of a small build's time to import

    with _unwarned():
        spec = GitIgnoreSpec.from_lines(lines)
    return lambda path: bool(spec.match_file(path))


def pattern_problem(pattern: str) -> str | None:
    """Say what is wrong with a line that should be a gitignore pattern, or return None."""
    if not pattern.strip():
        return "must not be empty"
    if not set(pattern) & set("!\\["):
        return None  # nothing else can be wrong, and there is no need to import what would tell
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    try:
        with _unwarned():
            GitIgnoreSpec.from_lines([_escaped(pattern)])
    except (ValueError, re.error):
        return f"{pattern!r} is not a gitignore pattern"
    return None


@contextmanager
def _unwarned() -> Iterator[None]:
    """Keep Python's own warnings of what a regular expression may once mean from the maker of an image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _escaped(pattern: str) -> str:
    """Take a ``#`` as part of a name: there are no comments in a list of patterns."""
    return f"\\{pattern}" if pattern.startswith("#") else pattern
