"""Read a ``package.json`` that a stranger wrote."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.mip.names import Location, Request, check_version, locate_source, make_request
from romfs_manifest.targets import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE = 1 << 20
"""Maximum size of a ``package.json``, in bytes."""
_MAX_ROW = 2000
"""Maximum length of a pair of strings, in characters."""
_FORMAT = 1
_SHORT_HASH = re.compile("[0-9a-f]{4,64}")


class Source(NamedTuple):
    """A file of a package before it is fetched; its SHA-256 begins with ``short``, which may be empty."""

    target: str
    location: Location
    short: str


class Listing(NamedTuple):
    """The content of a ``package.json``; ``version`` is empty if it has none."""

    version: str
    sources: tuple[Source, ...]
    dependencies: tuple[Request, ...]


def read_listing(data: bytes, folder: Location, index: Location) -> Listing:
    """Read the ``package.json`` of ``folder``; raises ManifestError for anything that is not as it must be."""
    document = parse_json(data, "its package.json")
    if document.get("v", _FORMAT) != _FORMAT:
        raise ManifestError(f"its package.json has format {_show(document['v'])}; only {_FORMAT} is known")
    version = _version(document.get("version"))
    hashed = (
        Source(check_target(target), index.join(f"file/{_check_hash(short)[:2]}/{short}"), short)
        for target, short in _pairs(document, "hashes")
    )
    named = (Source(check_target(target), locate_source(text, folder), "") for target, text in _pairs(document, "urls"))
    dependencies = {make_request(name, wanted) for name, wanted in _pairs(document, "deps", versions=True)}
    return Listing(version, (*hashed, *named), tuple(sorted(dependencies)))


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object; raises ManifestError, which calls it ``name``."""
    try:
        document = json.loads(data.decode("utf-8-sig"))  # the byte order mark is not the user's to remove
    except (ValueError, RecursionError) as error:  # invalid UTF-8 and invalid JSON are both ValueErrors
        raise ManifestError(f"{name} is not JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict):
        raise ManifestError(f"{name} is not a JSON object")
    return document


def _pairs(document: dict[str, Any], key: str, *, versions: bool = False) -> Iterator[tuple[str, str]]:
    rows = document.get(key, [])
    if not isinstance(rows, list):
        raise ManifestError(f"its {key!r} is not a list")
    for row in rows:
        match row:
            case [str(first), str(second)] if len(first) + len(second) <= _MAX_ROW:
                yield first, second
            case [str(first), second] if versions and not isinstance(second, str) and len(first) <= _MAX_ROW:
                yield first, _version(second)
            case _:
                raise ManifestError(f"its {key!r} contains something that is not a pair of strings, or is too long")


def _version(value: object) -> str:
    """Return a version, which mip also accepts as a number or null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:  # noqa: PLR2004
        return check_version(str(value))
    raise ManifestError(f"its version is {_show(value)}, not a string or a number")


def _show(value: object) -> str:
    """Return a value for a message. A list or an object is only named, because it may be nested too deeply to print."""
    return type(value).__name__ if isinstance(value, list | dict) else f"{value!r:.40}"


def _check_hash(short: str) -> str:
    if not _SHORT_HASH.fullmatch(short):
        raise ManifestError(f"{short!r:.80} is not the beginning of a SHA-256, with 4 to 64 hex digits")
    return short
