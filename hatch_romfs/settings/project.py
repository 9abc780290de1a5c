"""A folder's ``pyproject.toml`` to a ``Project``: its name, its version and its settings."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.settings.kinds import FLAGS_ARCH, FLAGS_SINCE
from hatch_romfs.settings.model import Linux, Nested, Settings
from hatch_romfs.settings.values import INVALID, Table, kind_of, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_romfs.settings.model import Mpy

_LONGEST = 200
"""Characters of a name or a version, at most: both go into file names and into the image."""
_NAME = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"


class Project(NamedTuple):
    """A project and its images by their names; where there is one without a name, that is ``""``.

    ``version`` is None where the build backend has to say it.
    """

    root: Path
    name: str
    version: str | None
    images: dict[str, Settings]


def load(root: Path) -> dict[str, Any] | None:
    """Return the content of ``pyproject.toml`` in ``root``, None where there is none; raises SettingsError."""
    path = root / "pyproject.toml"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    from hatch_romfs.settings.toml import loads  # noqa: PLC0415 - a plain folder needs none

    try:
        return loads(text.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingsError(f"{path}: {error}") from error


def has_table(document: dict[str, Any]) -> bool:
    """Say whether there is a ``[tool.romfs]``."""
    return isinstance(tool := document.get("tool"), dict) and "romfs" in tool


def read_project(root: Path, document: dict[str, Any], overrides: Mapping[str, Any] | None = None) -> Project:
    """Check the table, with ``overrides`` merged into it, and what is used of ``[project]``.

    Raises SettingsError with every mistake.
    """
    if not has_table(document):
        raise SettingsError(
            f"{root / 'pyproject.toml'} has no [tool.romfs] table",
            hint="Add one; an empty one takes the defaults.",
        )
    problems: list[Problem] = []
    name, version = _identity(document.get("project"), problems)
    images = _images(document["tool"]["romfs"], overrides or {}, problems)
    if problems:
        where = root / "pyproject.toml"
        raise SettingsError(problems, hint=f"{where} is to be put right; the reference page describes every key.")
    return Project(root, name, version, images)


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Read keys of ``[tool.romfs]`` that stand by themselves; raises SettingsError with every mistake."""
    problems: list[Problem] = []
    settings = _read(dict(table), "", problems)
    if problems:
        raise SettingsError([Problem(problem.key.lstrip("."), problem.text) for problem in problems])
    return settings


def _images(table: object, overrides: Mapping[str, Any], problems: list[Problem]) -> dict[str, Settings]:
    """Read every image of a table; a mistake in the part that they share is reported once."""
    several = isinstance(table, dict) and bool(table.get("images"))
    settings = _read(merged(table, overrides), "tool.romfs", problems, whole=not several)
    if problems or not several or not isinstance(table, dict):
        return {"": settings}
    shared = {"filename": "{name}-{image}.romfs"} | {key: value for key, value in table.items() if key != "images"}
    images = {}
    for name, own in settings.images.items():
        found: list[Problem] = []
        images[name] = _read(merged(shared | own, overrides), f"tool.romfs.images.{name}", found)
        problems += found
    return images


def _read(table: object, at: str, problems: list[Problem], *, whole: bool = True) -> Settings:
    """Read a table; one that is not ``whole`` is only the part that images share, which need not fit together."""
    if isinstance(table, dict):
        if table.get("format") == "linux":
            table = {"mpy": False, "share": False} | table
        if "board" in table:
            from hatch_romfs.settings.boards import with_known  # noqa: PLC0415 - few tables name a board

            table = with_known(table)
        inherited = {key: table[key] for key in Nested.keys if key in table}
        table = table | {key: _inheriting(table[key], inherited) for key in ("sources", "lib") if key in table}
    settings: Settings = read(Table(Settings), table, at, problems)
    if settings is not INVALID and whole:
        problems += [Problem(f"{at}.{entry.key}", entry.text) for entry in _contradictions(settings)]
    return settings


def _inheriting(sources: object, inherited: Mapping[str, object]) -> object:
    """Return a list of sources in which images inside the image are made as the one around them."""
    if not isinstance(sources, list):
        return sources
    return [
        source | {"image": _added(inherited, source["image"])}
        if isinstance(source, dict) and isinstance(source.get("image"), dict)
        else source
        for source in sources
    ]


def _added(inherited: Mapping[str, object], own: dict[str, Any]) -> dict[str, object]:
    """Return what an inner image says, added to what is said around it: single keys of ``mpy``, single boundaries."""
    mpy = inherited.get("mpy")
    result = dict(merged(dict(inherited), own)) if isinstance(own.get("alignment", {}), dict) else {**inherited, **own}
    if isinstance(mpy, dict) and isinstance(own.get("mpy"), dict):
        result["mpy"] = mpy | own["mpy"]
    return result


def merged(table: object, overrides: Mapping[str, Any]) -> Any:  # noqa: ANN401 - TOML is any of its types
    """Return a table with other values for some of its keys.

    Boundaries are added to those of the table, what is said of ``linux`` to what it says of that, and ``mpy = true``
    switches compiling on without forgetting how.
    """
    if not isinstance(table, dict):
        return table
    result = table | dict(overrides)
    if overrides.get("mpy") is True:
        result["mpy"] = table.get("mpy") or True
    if isinstance(linux := overrides.get("linux"), dict) and isinstance(table.get("linux"), dict):
        result["linux"] = table["linux"] | linux
    before, asked = table.get("alignment", {}), overrides.get("alignment")
    if isinstance(asked, dict) and isinstance(before, int | dict):
        result["alignment"] = (before if isinstance(before, dict) else {"default": before}) | asked
    return result


def _identity(metadata: object, problems: list[Problem]) -> tuple[str, str | None]:
    """Return the project's name and, if it is written down, its version."""
    if not isinstance(metadata, dict):
        problems.append(Problem("project", "pyproject.toml needs a [project] table with a name"))
        return "", None
    name, version = metadata.get("name"), metadata.get("version")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name) or len(name) > _LONGEST:
        shown = kind_of(name) if isinstance(name, int) and name.bit_length() > 64 else f"{name!r:.60}"  # noqa: PLR2004
        problems.append(Problem("project.name", f"must be letters, digits and '.', '_', '-', not {shown}"))
    named = name if isinstance(name, str) else ""
    return named, None if version is None else _normalized(version, problems)


def _normalized(version: object, problems: list[Problem]) -> str | None:
    """Return a version as build backends write it, for it goes into file names."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - a plain folder has none

    if not isinstance(version, str):
        problems.append(Problem("project.version", f"must be a string, not {kind_of(version)}"))
        return None
    if len(version) <= _LONGEST:
        with suppress(InvalidVersion):
            return str(Version(version))
    problems.append(Problem("project.version", f"must be a version such as '1.0.0', not {version[:50]!r}"))
    return None


def _contradictions(settings: Settings) -> list[Problem]:
    """Return what is wrong with keys that are right each by itself."""
    problems = []
    if settings.mpy and settings.mpy.emit != "bytecode" and settings.mpy.arch is None:
        problems.append(Problem("mpy.emit", f'"{settings.mpy.emit}" needs tool.romfs.mpy.arch, the board\'s'))
    problems.extend(_arch_flags_problems(settings.mpy, "mpy"))
    for key, sources in (("sources", settings.sources), ("lib", settings.lib)):
        for index, source in enumerate(sources):
            if source.image is not None and not source.to:
                problems.append(Problem(f"{key}[{index}].to", "must name the file that the image becomes"))
            if source.image is not None and source.image.mpy != settings.mpy:
                problems.extend(_arch_flags_problems(source.image.mpy, f"{key}[{index}].image.mpy"))
    if settings.format != "linux" and settings.linux != Linux():
        problems.append(Problem("linux", 'is only for format = "linux"'))
    if settings.board:
        from hatch_romfs.settings.boards import partition_problem  # noqa: PLC0415

        if problem := partition_problem(settings.board, settings.partition):
            problems.append(Problem("partition", problem))
        if settings.format == "linux":
            problems.append(Problem("board", 'is only for format = "micropython"'))
    return problems


def _arch_flags_problems(mpy: Mpy | None, key: str) -> list[Problem]:
    """Return why this architecture or this release cannot have architecture flags, if it has any."""
    if mpy is None or mpy.arch_flags is None:
        return []
    problems = []
    if mpy.arch != FLAGS_ARCH:
        found = "it is not set" if mpy.arch is None else f"{mpy.arch} has no flags"
        problems.append(Problem(f"{key}.arch-flags", f'needs arch = "{FLAGS_ARCH}"; {found}'))
    if mpy.micropython and tuple(map(int, mpy.micropython.split(".")[:2])) < FLAGS_SINCE:
        problems.append(
            Problem(f"{key}.arch-flags", f"needs MicroPython 1.27 or newer; micropython is {mpy.micropython}")
        )
    return problems
