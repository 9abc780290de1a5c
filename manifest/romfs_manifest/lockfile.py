"""``romfs.lock``: a lock as TOML, the same bytes for the same lock.

It carries a SHA-256 of what it says: whatever changes it by hand, or merges two of them, is noticed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from romfs_manifest.errors import ManifestError
from romfs_manifest.lock import MAX_FILE, MAX_FILES, MAX_PACKAGES, Lock, LockedFile, LockedPackage, check_conflicts
from romfs_manifest.names import requests_of
from romfs_manifest.package import check_target
from romfs_manifest.store import replacing

if TYPE_CHECKING:
    from pathlib import Path

NAME = "romfs.lock"
_FORMAT = 1
_HEADER = "# Made by 'romfs-manifest lock': keep it under version control, and do not edit it.\n"
_MAX_SIZE = 16 << 20
_SHA256 = re.compile("[0-9a-f]{64}")

Value = TypeVar("Value")


def write_lock(path: Path, lock: Lock) -> None:
    """Write ``lock``; the file at ``path`` is replaced in one step or left as it is.

    Raises ManifestError where the disk does not take it.
    """
    import tomli_w  # noqa: PLC0415 - builds only read

    document = _document(lock)
    text = _HEADER + tomli_w.dumps({"checksum": _checksum(document)} | document)
    try:
        with replacing(path) as passing, passing.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ManifestError(f"cannot write {path}: {error.strerror}") from error


def read_lock(path: Path) -> Lock:
    """Return the lock at ``path``; raises ManifestError where there is none, or one that was changed."""
    document = read_toml(path, _MAX_SIZE, missing="Run 'romfs-manifest lock' to make it.")
    try:
        lock = _lock(document)
    except ManifestError as error:
        raise ManifestError(
            f"{path}: {error.message}", hint="It was edited or merged: restore it, or remove it and lock again."
        ) from error
    return lock


def read_toml(path: Path, limit: int, *, missing: str) -> dict[str, Any]:
    """Return a TOML file of at most ``limit`` bytes; ``missing`` is what to do where there is none.

    Raises ManifestError.
    """
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise ManifestError(f"there is no {path}", hint=missing) from None
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise ManifestError(f"{path} is larger than {limit:,} bytes")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # what is not TOML, or not UTF-8, is a ValueError
        raise ManifestError(f"{path}: {error}") from error


def _document(lock: Lock) -> dict[str, Any]:
    packages = [
        {
            "name": package.name,
            "version": package.version,
            "dependencies": sorted(package.dependencies),
            "files": [file._asdict() for file in sorted(package.files)],
        }
        for package in sorted(lock.packages)
    ]
    return {
        "format": _FORMAT,
        "index": lock.index_url,
        "form": lock.form,
        "requests": sorted(lock.requests),
        "packages": packages,
    }


def _checksum(document: dict[str, Any]) -> str:
    from romfs_manifest.store import sha256_of  # noqa: PLC0415 - hashlib takes its time

    return sha256_of(json.dumps(document, sort_keys=True).encode())


def _lock(document: dict[str, Any]) -> Lock:
    if _taken(document, "format", int) != _FORMAT:
        raise ManifestError(f"it is not of format {_FORMAT}, the one that this tool knows")
    tables = _taken(document, "packages", list)
    if len(tables) > MAX_PACKAGES:
        raise ManifestError(f"it has more than {MAX_PACKAGES:,} packages")
    packages = tuple(_package(table) for table in tables)
    if sum(len(package.files) for package in packages) > MAX_FILES:
        raise ManifestError(f"it has more than {MAX_FILES:,} files")
    index_url, form = _taken(document, "index", str), _taken(document, "form", str)
    lock = Lock(_requests(document, "requests"), packages, index_url, form)
    if _taken(document, "checksum", str) != _checksum(_document(lock)):
        raise ManifestError("its checksum is not that of what it says")
    check_conflicts(lock.packages, lock.requests)
    return lock


def _package(table: object) -> LockedPackage:
    files = tuple(_file(file) for file in _taken(table, "files", list))
    name, version = _taken(table, "name", str), _taken(table, "version", str)
    return LockedPackage(name, version, _requests(table, "dependencies"), files)


def _file(table: object) -> LockedFile:
    target, url = _taken(table, "target", str), _taken(table, "url", str)
    sha256, size = _taken(table, "sha256", str), _taken(table, "size", int)
    if not _SHA256.fullmatch(sha256) or not 0 <= size <= MAX_FILE:
        raise ManifestError(f"{target}: its SHA-256 or its size is not one")
    return LockedFile(check_target(target), url, sha256, size)


def _requests(table: object, key: str) -> tuple[str, ...]:
    return tuple(map(str, requests_of(_taken(table, key, list))))


def _taken(table: object, key: str, kind: type[Value]) -> Value:
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ManifestError(f"its {key!r} is missing or not what it must be")
    return value
