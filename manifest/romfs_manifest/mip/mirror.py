"""Write everything that a lock needs as an index in a folder, for builds without a network.

The folder has the layout of MicroPython's own index, so that mip can also use it when a web server serves it. Files
are named by their full hash. A package that does not come from the index gets a folder too, named after it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from romfs_manifest.errors import ManifestError
from romfs_manifest.files import read_file
from romfs_manifest.mip.descriptions import mirror_location
from romfs_manifest.mip.names import FILE, Location, locate, parse_request
from romfs_manifest.mip.package_json import parse_json
from romfs_manifest.shared.atomic import replace_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from romfs_manifest.mip.lock import Lock, LockedPackage

_MAX_INDEX = 16 << 20
_INDEX = "index.json"


def write_mirror(folder: Path, lock: Lock, files: Mapping[str, bytes]) -> None:
    """Write the packages of ``lock``, whose ``files`` are bytes by target, into the index in ``folder``.

    An index that exists there is extended; any other folder must be empty. Packages on this machine are left out.
    Raises ManifestError.
    """
    try:
        listed = _read_index(folder)
        for package in lock.packages:
            if package.name.startswith(FILE):
                continue
            for file in package.files:
                _write(folder / "file" / file.sha256[:2] / file.sha256, files[file.target])
            _describe(folder, lock, package, listed)
        _write(folder / _INDEX, _dump({"v": 2, "packages": [listed[name] for name in sorted(listed)]}))
    except OSError as error:
        raise ManifestError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def _describe(folder: Path, lock: Lock, package: LockedPackage, listed: dict[str, Any]) -> None:
    described = {
        "v": 1,
        "version": package.version,
        "hashes": [[file.target, file.sha256] for file in package.files],
        "deps": [[request.name, request.version or "latest"] for request in map(parse_request, package.dependencies)],
    }
    # Any version of the package is this one: the mirror answers what the lock has asked.
    for version in {package.version, ""}:
        path = mirror_location(Location(FILE, ""), lock.form, package.name, version).path
        _write(folder / path, _dump(described))
    if locate(package.name) is None:
        entry = listed.setdefault(package.name, {"name": package.name, "versions": {}})
        versions = entry["versions"].setdefault(lock.form, [])
        if package.version not in versions:
            versions.append(package.version)
        entry["version"] = package.version


def _read_index(folder: Path) -> dict[str, Any]:
    """Return the packages that an index lists, by name; raises ManifestError for a folder that is something else."""
    path = folder / _INDEX
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ManifestError(f"{folder} is neither empty nor an index", hint="Name a new folder.")
        return {}
    document = parse_json(read_file(path, _MAX_INDEX), str(path))
    match document:
        case {"packages": list(packages)}:
            rows = [row for row in packages if isinstance(row, dict) and isinstance(row.get("versions"), dict)]
            return {row["name"]: row for row in rows if isinstance(row.get("name"), str)}
    raise ManifestError(f"{path} is not the list of an index", hint="Name a new folder.")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_atomically(path) as temporary:
        Path(temporary).write_bytes(data)


def _dump(document: object) -> bytes:
    return f"{json.dumps(document, indent=2, sort_keys=True)}\n".encode()
