"""Gitignore patterns: which names are left out of an image, and which files a setting is for."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from romfs_manifest.shared.atomic import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Match: TypeAlias = "Callable[[str], bool]"
"""Returns whether patterns match a path; the path of a directory ends in ``/``."""

_NAMES = frozenset(
    (
        # version control
        ".git", ".gitignore", ".gitattributes", ".gitmodules", ".hg", ".svn",
        # leftovers of Python and its tools
        "__pycache__", ".venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
        ".coverage",
        # leftovers of operating systems and editors
        ".DS_Store", "Thumbs.db", "desktop.ini", ".idea", ".vscode",
    )
)  # fmt: skip
_AFFIXES = (
    ("", ".pyc"), ("", ".pyo"), ("", ".egg-info"),
    ("", "~"), ("", ".swp"), ("", ".swo"), (".#", ""), ("#", "#"),
    # images, among them the output of the last build; `!*.romfs` includes them
    ("", ".romfs"), ("", SUFFIX),
)  # fmt: skip
BUILT_IN = (*sorted(_NAMES), *(f"{start}*{end}" for start, end in _AFFIXES))
"""Patterns that are always excluded, unless a later pattern such as ``!*.romfs`` includes them."""


def is_built_in(path: str) -> bool:
    """Return whether one of BUILT_IN matches; importing pathspec for this would take ten times as long."""
    name = path.rstrip("/").rpartition("/")[2]
    return name in _NAMES or any(
        name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end) for start, end in _AFFIXES
    )


def compile_exclude(patterns: Sequence[str]) -> Match:
    """Return a function that tells whether a path is excluded, by BUILT_IN followed by ``patterns``."""
    return compile_patterns([*BUILT_IN, *patterns]) if patterns else is_built_in


def compile_patterns(patterns: Sequence[str]) -> Match:
    """Return a function that tells whether a path matches; later patterns outrank earlier ones.

    The patterns must be valid: ``pattern_problem`` returns None for each.
    """
    if not patterns:
        return lambda _: False
    # pathspec takes a tenth of a small build's time to import
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    from hatch_romfs.settings.linear import LinearPattern  # noqa: PLC0415

    with _ignore_future_warnings():
        spec = GitIgnoreSpec.from_lines(map(_escape, patterns), LinearPattern, backend="simple")
    return lambda path: bool(spec.match_file(path))


def pattern_problem(pattern: str) -> str | None:
    """Return why a line is not a gitignore pattern, or None."""
    if not pattern.strip():
        return "must not be empty"
    if not set(pattern) & set("!\\["):
        return None  # only these can be wrong, so pathspec need not be imported
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    try:
        with _ignore_future_warnings():
            GitIgnoreSpec.from_lines([_escape(pattern)])
    except (ValueError, re.error):
        return f"{pattern!r} is not a gitignore pattern"
    return None


@contextmanager
def _ignore_future_warnings() -> Iterator[None]:
    """Hide Python's warnings about regular expressions whose meaning may change: the user did not write them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _escape(pattern: str) -> str:
    """Make ``#`` part of a name: a list of patterns has no comments."""
    return f"\\{pattern}" if pattern.startswith("#") else pattern
