"""The ``pyproject.toml`` of a folder to a ``Project``: its name, its version, and its settings."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import Problem, SettingsError, unreadable
from hatch_romfs.settings.layers import Options, read_images, read_options, resolve
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.types import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_LENGTH = 200
"""Characters of a name or a version, at most: both go into file names and into the image."""
_MAX_BYTES = 32 << 20
_NAME = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
"""A valid name. packaging.utils knows this too, but importing it takes 15 ms, a sixth of a small build."""


class Project(NamedTuple):
    """A project and its images by name; the name of a single image is ``""``.

    ``version`` is None if the build backend computes it.
    """

    root: Path
    name: str
    version: str | None
    images: dict[str, Settings]


def load(root: Path) -> dict[str, Any] | None:
    """Return the content of ``pyproject.toml`` in ``root``, or None if there is none. Raises SettingsError."""
    return load_toml(root / "pyproject.toml")


def load_toml(path: Path) -> dict[str, Any] | None:
    """Return the content of a TOML file, or None if there is none. Raises SettingsError."""
    from romfs_manifest.shared.opening import read_regular  # noqa: PLC0415

    try:
        text = read_regular(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error, "a TOML file") from error
    from romfs_manifest.shared.toml import loads  # noqa: PLC0415 - a plain folder needs none

    if text.startswith(BOM_UTF8):
        # Accepting it would only move the error to the front ends, which read the file before a build.
        raise SettingsError(
            f"{path}:1: begins with a byte order mark, which TOML does not allow", hint="Save it as UTF-8 without BOM."
        )
    try:
        return loads(text.decode())
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{text[error.start]:02x}"
        raise SettingsError(f"{path}:{line}: the text is not valid UTF-8: {byte}", hint="Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def has_table(document: dict[str, Any]) -> bool:
    """Return whether there is a ``[tool.romfs]``."""
    return isinstance(tool := document.get("tool"), dict) and "romfs" in tool


def read_project(root: Path, document: dict[str, Any], overrides: Mapping[str, Any] | Options | None = None) -> Project:
    """Read the table, with ``overrides`` as the layer above it, and the parts of ``[project]`` that matter.

    Raises SettingsError with every mistake.
    """
    path = root / "pyproject.toml"
    if not has_table(document):
        raise SettingsError(
            f"{path} has no [tool.romfs] table", hint="Add one; an empty table means the default settings."
        )
    problems: list[Problem] = []
    name, version = _read_identity(document, problems)
    images = read_images(document["tool"]["romfs"], _as_options(overrides), problems)
    if problems:
        raise SettingsError(problems, hint=_hint(problems, path))
    return Project(root, name, version, images)


def read_settings(overrides: Mapping[str, Any] | Options) -> Settings:
    """Read settings without a table, for a plain folder. Raises SettingsError with every mistake."""
    problems: list[Problem] = []
    settings = read_options(_as_options(overrides), problems)
    if not problems:
        settings = resolve(settings, problems)
    if problems:
        raise SettingsError(problems)
    return settings


def _as_options(overrides: Mapping[str, Any] | Options | None) -> Options:
    return overrides if isinstance(overrides, Options) else Options(overrides or {})


def _hint(problems: list[Problem], path: Path) -> str | None:
    """Return what to do about problems in a file; those of options need no hint."""
    keys = [problem.key for problem in problems if problem.key.startswith(("tool.romfs", "project"))]
    if not keys:
        return None
    tables = [key.removeprefix("tool.romfs.") for key in keys if key.startswith("tool.romfs.")]
    known = {re.split(r"[.\[]", table)[0] for table in tables}
    if len(tables) == len(keys) and len(known) == 1 and known <= Settings.keys.keys():
        return f"Fix {path}. `romfs-image settings {known.pop()}` describes this key."
    return f"Fix {path}. `romfs-image settings` describes every key."


def _read_identity(document: dict[str, Any], problems: list[Problem]) -> tuple[str, str | None]:
    """Return the project's name and its version, None if it is dynamic."""
    metadata = document.get("project")
    if not isinstance(metadata, dict):
        poetry = document["tool"].get("poetry")
        old = "; move `name` and `version` there from [tool.poetry]" if _has_name(poetry) else ""
        problems.append(Problem("project", f"pyproject.toml needs a [project] table with a name{old}"))
        return "", None
    name, version = metadata.get("name"), metadata.get("version")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name) or len(name) > _MAX_LENGTH:
        shown = type_name(name) if isinstance(name, int) and name.bit_length() > 64 else f"{name!r:.60}"  # noqa: PLR2004
        problems.append(Problem("project.name", f"must consist of letters, digits, '.', '_', and '-', not {shown}"))
    return name if isinstance(name, str) else "", None if version is None else _read_version(version, problems)


def _has_name(table: object) -> bool:
    return isinstance(table, dict) and "name" in table


def _read_version(version: object, problems: list[Problem]) -> str | None:
    if not isinstance(version, str):
        problems.append(Problem("project.version", f"must be a string, not {type_name(version)}"))
        return None
    normalized = normalize_version(version)
    if normalized is None:
        problems.append(Problem("project.version", f"must be a version such as '1.0.0', not {version[:50]!r}"))
    return normalized


def normalize_version(version: str) -> str | None:
    """Return a version as it is in the names of wheels, or None if it is not a valid version."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - a plain folder has none

    if len(version) <= _MAX_LENGTH:
        with suppress(InvalidVersion):
            return str(Version(version))
    return None
