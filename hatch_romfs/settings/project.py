"""A folder's ``pyproject.toml`` to a ``Project``: its name, its version and its settings."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.values import Table, kind_of, read

if TYPE_CHECKING:
    from pathlib import Path


_NAME = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"


@dataclass(frozen=True, slots=True)
class Project:
    """A project that makes an image. ``version`` is None where the build backend has to say it."""

    root: Path
    name: str
    version: str | None
    settings: Settings


def load(root: Path) -> dict[str, Any] | None:
    """Return the content of ``pyproject.toml`` in ``root``, None where there is none; raises SettingsError."""
    path = root / "pyproject.toml"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - a plain folder needs none
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def has_table(document: dict[str, Any]) -> bool:
    """Say whether there is a ``[tool.romfs]``."""
    return isinstance(tool := document.get("tool"), dict) and "romfs" in tool


def read_project(root: Path, document: dict[str, Any]) -> Project:
    """Check the table and what is used of ``[project]``; raises SettingsError with every mistake."""
    if not has_table(document):
        raise SettingsError(
            f"{root / 'pyproject.toml'} has no [tool.romfs] table",
            hint="Add one; an empty one takes the defaults.",
        )
    problems: list[Problem] = []
    name, version = _identity(document.get("project"), problems)
    settings: Settings = read(Table(Settings), document["tool"]["romfs"], "tool.romfs", problems)
    if not problems:
        problems += _contradictions(settings)
    if problems:
        raise SettingsError(problems, hint="docs/reference/settings.md describes every key of [tool.romfs].")
    return Project(root, name, version, settings)


def read_overrides(table: dict[str, object]) -> dict[str, object]:
    """Check the keys in ``table`` as those of ``[tool.romfs]``, and return them as fields of Settings."""
    problems: list[Problem] = []
    settings = read(Table(Settings), table, "", problems)
    if problems:
        raise SettingsError([Problem(problem.key.lstrip("."), problem.text) for problem in problems])
    return {name: getattr(settings, name) for name in table}


def _identity(metadata: object, problems: list[Problem]) -> tuple[str, str | None]:
    """Return the project's name and, if it is written down, its version."""
    if not isinstance(metadata, dict):
        problems.append(Problem("project", "pyproject.toml needs a [project] table with a name"))
        return "", None
    name, version = metadata.get("name"), metadata.get("version")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        problems.append(Problem("project.name", f"must be letters, digits and '.', '_', '-', not {name!r}"))
    if not isinstance(version, str | None):
        problems.append(Problem("project.version", f"must be a string, not {kind_of(version)}"))
    return name or "", version


def _contradictions(settings: Settings) -> list[Problem]:
    """Return what is wrong with keys that are right each by itself."""
    problems = []
    if settings.mpy and settings.mpy.emit != "bytecode" and settings.mpy.arch is None:
        problems.append(
            Problem("tool.romfs.mpy.emit", f'"{settings.mpy.emit}" needs tool.romfs.mpy.arch, the board\'s')
        )
    return problems
