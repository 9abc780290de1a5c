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

# What no board needs, at any depth. A name belongs here only if nobody could want it in an image: licenses, `bin`,
# `tests`, and folders such as `.ssh` in the root of a Linux system stay.
_NAMES = frozenset(
    (
        # version control and hosting; `.git*` is below
        ".hg", ".hgignore", ".svn", ".jj", ".circleci", ".travis.yml", ".pre-commit-config.yaml", ".editorconfig",
        # leftovers of Python and its tools; a module that is called venv stays
        "__pycache__", ".venv", "venv/", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
        ".pytype", ".eggs", ".ipynb_checkpoints", ".python-version", ".tool-versions", ".pdm-python", ".pdm-build",
        # passwords and tokens of the person who builds; `.env*` is below
        ".netrc", ".pypirc", ".npmrc",
        # leftovers of operating systems and editors
        ".DS_Store", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", ".TemporaryItems", "__MACOSX",
        "Thumbs.db", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN", "System Volume Information", "lost+found",
        ".idea", ".vscode", ".vs", ".micropico", ".spyproject", ".ropeproject",
    )
)  # fmt: skip
_AFFIXES = (
    (".git", ""),
    ("", ".pyc"), ("", ".pyo"), (".coverage", ""), (".env", ""),
    # what installers write about packages, with paths of this machine
    ("", ".egg-info"), ("", ".dist-info"), ("", ".egg-link"),
    # macOS keeps attributes in such files; network disks keep deleted ones that are still open; Linux has a trash
    ("._", ""), (".nfs", ""), (".fuse_hidden", ""), (".Trash-", ""),
    ("", "~"), ("", ".swp"), ("", ".swo"), (".#", ""), ("#", "#"), ("", ".code-workspace"),
    # images, among them the output of the last build; `!*.romfs` includes them
    ("", ".romfs"), ("", SUFFIX),
)  # fmt: skip
PROJECT_FILES = (
    # what build tools write, the last two in sdists
    "/dist", "/build", "/PKG-INFO", "/setup.cfg",
    # what the project is built from
    "/pyproject.toml", "/setup.py", "/MANIFEST.in", "/requirements*.txt", "/tox.ini", "/noxfile.py",
    "/uv.lock", "/poetry.lock", "/pdm.lock", "/Pipfile", "/Pipfile.lock", "/romfs.lock",
    # what is written for its visitors
    "/README", "/README*.md", "/README*.rst", "/README*.txt", "/readme*.md", "/CHANGELOG.md", "/CONTRIBUTING.md",
)  # fmt: skip
"""Patterns that are excluded where the project's own folder is a source.

They are anchored: the same names may mean something to a board anywhere else, such as a README in a folder that a web
server shows. Licenses stay, because an image may have to contain them.
"""
BUILT_IN = (*sorted(_NAMES), *(f"{start}*{end}" for start, end in _AFFIXES))
"""Patterns that are always excluded, unless a later pattern such as ``!*.romfs`` includes them."""


def is_built_in(path: str) -> bool:
    """Return whether one of BUILT_IN matches; importing pathspec for this would take ten times as long."""
    name = path.rstrip("/").rpartition("/")[2]
    return (
        name in _NAMES
        or (path.endswith("/") and f"{name}/" in _NAMES)
        or any(
            name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end)
            for start, end in _AFFIXES
        )
    )


def compile_exclude(patterns: Sequence[str]) -> Match:
    """Return a function that tells whether a path is excluded, by BUILT_IN followed by ``patterns``."""
    return compile_patterns([*BUILT_IN, *patterns]) if patterns else is_built_in


def compile_built_in(*, is_project: bool) -> Match:
    """Return a function that tells whether one of BUILT_IN matches, or one of PROJECT_FILES in a project's folder."""
    return compile_patterns([*BUILT_IN, *PROJECT_FILES]) if is_project else is_built_in


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
