"""Budgets: how many bytes folders and patterns may take, and what has grown since a baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatch_romfs.errors import Problem, SettingsError, unreadable
from hatch_romfs.paths import show_name
from hatch_romfs.report.image_map import own_sizes
from hatch_romfs.settings.patterns import compile_patterns, pattern_problem
from hatch_romfs.settings.types import Place, read
from hatch_romfs.settings.values import SIZE
from romfs_manifest.shared.opening import open_regular
from romfs_manifest.shared.toml import loads

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_romfs.report.image_map import ImageMap

WHOLE: Final = "/"
"""The key of the budget of the whole image."""
BASELINE_START: Final = b'{\n  "hatch-romfs-baseline": 1,\n'
"""The first bytes of a baseline."""
_LARGEST_FILE: Final = 16 << 20
"""Bytes of a file with budgets, or of a baseline, at most."""


class Budget(NamedTuple):
    """What a pattern may take and what it takes, in bytes. ``matches`` says whether it matches anything."""

    pattern: str
    limit: int
    size: int
    matches: bool

    @property
    def is_exceeded(self) -> bool:
        """Whether it takes more than it may."""
        return self.size > self.limit


class Growth(NamedTuple):
    """A path whose own bytes were ``before`` in the baseline and are ``after`` now; the image itself is ``""``."""

    path: str
    before: int
    after: int


def read_budgets(path: Path) -> dict[str, int]:
    """Return the limits in a TOML file, in bytes by pattern. Raises SettingsError."""
    try:
        table = loads(_read(path).decode())
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    problems: list[Problem] = []
    limits: dict[str, int] = {}
    for pattern, value in table.items():
        problem = None if pattern == WHOLE else pattern_problem(pattern)
        if problem is not None:
            problems.append(Problem(f"{path}: {pattern!r}", problem))
        limits[pattern] = read(SIZE, value, Place(pattern, names={pattern: f"{path}: {pattern!r}"}), problems)
    if not table:
        problems.append(Problem(str(path), "contains no budget"))
    if problems:
        hint = 'Each key is a folder or a pattern, each value a size: "lib/" = "40 KiB". "/" is the whole image.'
        raise SettingsError(problems, hint=hint)
    return limits


def check_budgets(found: ImageMap, limits: dict[str, int]) -> list[Budget]:
    """Return what each budget is used for. A path counts with its record, its name, and its padding."""
    sizes = own_sizes(found.cells)
    budgets = []
    for pattern, limit in limits.items():
        if pattern == WHOLE:
            budgets.append(Budget(pattern, limit, found.size, matches=True))
            continue
        match = compile_patterns([pattern])
        matching = [size for path, size in sizes.items() if path and (match(path) or match(f"{path}/"))]
        budgets.append(Budget(pattern, limit, sum(matching), matches=bool(matching)))
    return budgets


def baseline(found: ImageMap) -> bytes:
    """Return the baseline of an image: one line for each path, so that its history can be read."""
    sizes = {show_name(path): size for path, size in sorted(own_sizes(found.cells).items())}
    document = {"hatch-romfs-baseline": 1, "size": found.size, "paths": sizes}
    return f"{json.dumps(document, indent=2)}\n".encode()


def read_baseline(path: Path) -> dict[str, int]:
    """Return the bytes of each path in a baseline. Raises SettingsError."""
    try:
        document: Any = json.loads(_read(path))
        sizes: dict[str, int] = dict(document["paths"])
        if document["hatch-romfs-baseline"] == 1 and all(type(size) is int for size in sizes.values()):
            return sizes
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise SettingsError(f"{path} is not a baseline", hint=f"Write one: romfs-image map IMAGE --save-baseline {path}")


def growth(found: ImageMap, before: dict[str, int]) -> list[Growth]:
    """Return the paths that have grown, or are new, the largest growth first."""
    sizes = {show_name(path): size for path, size in own_sizes(found.cells).items()}
    grown = [Growth(path, before.get(path, 0), size) for path, size in sizes.items() if size > before.get(path, 0)]
    return sorted(grown, key=lambda row: (row.before - row.after, row.path))


def _read(path: Path) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise unreadable(path, error, "a file") from error
    if len(data) > _LARGEST_FILE:
        raise SettingsError(f"{path} is larger than {_LARGEST_FILE:,} bytes")
    return data
