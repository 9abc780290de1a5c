"""``romfs.lock``: a lock as TOML, the same bytes for the same lock.

It contains a SHA-256 of its content, so a change by hand or by a merge is noticed. That protects against accidents,
not against forgery: whatever a lock says is checked as if a stranger wrote it.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from romfs_manifest.errors import ManifestError, MissingFileError
from romfs_manifest.files import MAX_FILE, parse_toml, read_file
from romfs_manifest.mip.lock import MAX_FILES, MAX_PACKAGES, Lock, LockedFile, LockedPackage, check_conflicts
from romfs_manifest.mip.names import parse_request, parse_requests
from romfs_manifest.mip.policy import Policy, index_url, make_policy
from romfs_manifest.shared.atomic import replace_atomically
from romfs_manifest.targets import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "romfs.lock"
_FORMAT = 1
_HEADER = "# Made by 'romfs-manifest lock': keep it under version control, and do not edit it.\n"
_MAX_SIZE = 16 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_CONFLICT = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
_RESTORE = "It was edited or merged: restore it from version control, or delete it and run 'romfs-manifest lock'."

Value = TypeVar("Value")


class LockConflictError(ManifestError):
    """A lock contains conflict markers; ``indexes`` and ``forms`` are those of all sides."""

    def __init__(self, path: Path, data: bytes) -> None:
        message = f"{path} contains conflict markers of a merge"
        super().__init__(message, hint="Run 'romfs-manifest lock', which makes it anew.")
        self.indexes, self.forms = _values(data, b"index"), _values(data, b"form")


def write_lock(path: Path, lock: Lock) -> None:
    """Write ``lock``; the file at ``path`` is replaced in one step or left as it is, and a link stays a link.

    Raises ManifestError if it cannot be written.
    """
    import tomli_w  # noqa: PLC0415 - builds only read

    document = _document(lock)
    text = _HEADER + tomli_w.dumps({"checksum": _checksum(document)} | document)
    try:
        with replace_atomically(os.path.realpath(path)) as temporary, Path(temporary).open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ManifestError(f"cannot write {path}: {error.strerror}") from error


def read_lock(path: Path) -> Lock:
    """Return the lock at ``path``; raises ManifestError if there is none, or if it was changed."""
    try:
        data = read_file(path, _MAX_SIZE)
    except MissingFileError:
        raise MissingFileError(f"{path} does not exist", hint="Run 'romfs-manifest lock' to make it.") from None
    if _CONFLICT.search(data):
        raise LockConflictError(path, data)
    try:
        document = parse_toml(data)
    except ValueError as error:
        raise ManifestError(f"{path}: {error}", hint=_RESTORE) from error
    try:
        return _read(document)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error.message}", hint=error.hint or _RESTORE) from error


def _values(data: bytes, key: bytes) -> set[str]:
    found = re.findall(rb'^%s = "([^"\\]*)"' % key, data, re.MULTILINE)
    return {value.decode(errors="replace") for value in found}


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
    from romfs_manifest.mip.cache import hash_bytes  # noqa: PLC0415 - hashlib takes time to import

    return hash_bytes(json.dumps(document, sort_keys=True).encode())


def _read(document: dict[str, Any]) -> Lock:
    _check_format(document)
    _check_keys(document, {"checksum", "format", "index", "form", "requests", "packages"})
    rows = _value(document, "packages", list)
    if len(rows) > MAX_PACKAGES:
        raise ManifestError(f"it contains more than {MAX_PACKAGES:,} packages")
    requests = _requests(document, "requests")
    index, form = _value(document, "index", str), _value(document, "form", str)
    if index_url(index) != index:
        raise ManifestError("its 'index' is not written as 'romfs-manifest lock' writes it")
    policy = make_policy(index, requests)
    packages = tuple(_package(row, policy) for row in rows)
    if sum(len(package.files) for package in packages) > MAX_FILES:
        raise ManifestError(f"it contains more than {MAX_FILES:,} files")
    content = {key: value for key, value in document.items() if key != "checksum"}
    if _value(document, "checksum", str) != _checksum(content):
        raise ManifestError("its checksum does not match its content")
    lock = Lock(requests, packages, index, form)
    check_conflicts(lock.packages, lock.requests)
    return lock


def _check_format(document: dict[str, Any]) -> None:
    number = _value(document, "format", int)
    if number > _FORMAT:
        raise ManifestError("it was made by a newer romfs-manifest", hint="Upgrade hatch-romfs on this machine.")
    if number != _FORMAT:
        raise ManifestError(f"its format is not {_FORMAT}")


def _package(row: object, policy: Policy) -> LockedPackage:
    name, version = _value(row, "name", str), _value(row, "version", str)
    with _named(f"package {name[:200]!r}"):
        _check_keys(row, {"name", "version", "dependencies", "files"})
        if parse_request(name).version:
            raise ManifestError("its name contains a version")
        files = tuple(_file(file, name, policy) for file in _value(row, "files", list))
        # Names written before case was ignored are the same packages.
        return LockedPackage(parse_request(name).name, version, _requests(row, "dependencies"), files)


def _file(row: object, package: str, policy: Policy) -> LockedFile:
    target, url = _value(row, "target", str), _value(row, "url", str)
    sha256, size = _value(row, "sha256", str), _value(row, "size", int)
    with _named(f"file {target[:200]!r}"):
        _check_keys(row, {"target", "url", "sha256", "size"})
        check_target(target)
        if not _SHA256.fullmatch(sha256) or not 0 <= size <= MAX_FILE:
            raise ManifestError("its SHA-256 or its size is invalid")
        policy.check_file(url, package)
    return LockedFile(target, url, sha256, size)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Put what is read before the message of an error."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError(f"{what}: {error.message}", hint=_RESTORE) from error


def _requests(table: object, key: str) -> tuple[str, ...]:
    return tuple(map(str, parse_requests(_value(table, key, list))))


def _check_keys(table: object, known: set[str]) -> None:
    if isinstance(table, dict) and (unknown := sorted(table.keys() - known)):
        raise ManifestError(f"unknown key {unknown[0][:100]!r}")


def _value(table: object, key: str, kind: type[Value]) -> Value:
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ManifestError(f"{key!r} is missing or has the wrong type")
    return value
