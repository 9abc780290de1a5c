"""What of a project's ``pyproject.toml`` the tool needs: its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError, UsageError
from romfs_manifest.lockfile import read_toml
from romfs_manifest.names import requests_of

if TYPE_CHECKING:
    from pathlib import Path

_MAX_SIZE = 1 << 20


def read_requests(folder: Path) -> tuple[str, ...]:
    """Return ``dependencies`` of ``[tool.romfs]``, each once and in order; raises UsageError."""
    path = folder / "pyproject.toml"
    try:
        table: object = read_toml(path, _MAX_SIZE, missing="Name the folder of a project.")
    except ManifestError as error:
        raise UsageError(error.message, hint=error.hint) from error
    for key in ("tool", "romfs", "dependencies"):
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        raise UsageError(f"{path} has no dependencies in [tool.romfs]", hint='Such as: dependencies = ["aiohttp"]')
    try:
        return tuple(map(str, requests_of(table)))
    except ManifestError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
