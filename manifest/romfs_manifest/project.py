"""The dependencies in a project's ``pyproject.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError, MissingFileError, UsageError
from romfs_manifest.files import parse_toml, read_file
from romfs_manifest.mip.names import parse_requests

if TYPE_CHECKING:
    from pathlib import Path

_MAX_SIZE = 1 << 20


def read_requests(folder: Path) -> tuple[str, ...]:
    """Return ``dependencies`` of ``[tool.romfs]``, sorted and without duplicates; raises UsageError."""
    path = folder / "pyproject.toml"
    try:
        table: object = parse_toml(read_file(path, _MAX_SIZE))
    except MissingFileError:
        raise UsageError(f"{path} does not exist", hint="Name the folder of a project.") from None
    except (ManifestError, ValueError) as error:
        raise UsageError(f"{path}: {error}" if isinstance(error, ValueError) else str(error)) from error
    for key in ("tool", "romfs", "dependencies"):
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        raise UsageError(f"{path} has no dependencies in [tool.romfs]", hint='Add: dependencies = ["aiohttp"]')
    try:
        return tuple(map(str, parse_requests(table)))
    except ManifestError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
