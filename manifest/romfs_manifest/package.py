"""A ``package.json``: read as something that a stranger wrote."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.names import Location, Request, request, source
from romfs_manifest.targets import target_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE = 1 << 20
"""Bytes of a ``package.json``, at most."""
_LONGEST = 2000
"""Characters of a target or a name with what belongs to it, at most."""
_FORMAT = 1
_SHORT_HASH = re.compile("[0-9a-f]{8,64}")


class Source(NamedTuple):
    """A file of a package, before it was fetched; ``short`` is how its SHA-256 begins, empty where nobody says."""

    target: str
    url: str
    short: str


class Listing(NamedTuple):
    """What a ``package.json`` lists; ``version`` is empty where it has none."""

    version: str
    sources: tuple[Source, ...]
    dependencies: tuple[Request, ...]


def read_listing(data: bytes, folder: Location, index: Location) -> Listing:
    """Check a ``package.json`` that lies in ``folder``; raises ManifestError for anything that is not as it must be."""
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError) as error:  # what is not UTF-8 and what is not JSON are both ValueErrors
        raise ManifestError(f"its package.json is not JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict):
        raise ManifestError("its package.json is not an object")
    if document.get("v", _FORMAT) != _FORMAT:
        raise ManifestError(f"its package.json is of format {_shown(document['v'])}; this tool knows {_FORMAT}")
    version = "" if document.get("version") is None else document["version"]
    if not isinstance(version, str):
        raise ManifestError(f"its version is {_shown(version)}, not a string")
    hashed = (
        Source(check_target(target), index.joined(f"file/{short[:2]}/{short}").url, short)
        for target, short in _pairs(document, "hashes")
        if _is_short_hash(short)
    )
    named = (Source(check_target(target), source(text, folder).url, "") for target, text in _pairs(document, "urls"))
    dependencies = {request(name, wanted) for name, wanted in _pairs(document, "deps")}
    return Listing(version, (*hashed, *named), tuple(sorted(dependencies)))


def _pairs(document: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    rows = document.get(key, [])
    if not isinstance(rows, list):
        raise ManifestError(f"its {key!r} is not a list")
    for row in rows:
        match row:
            case [str(first), str(second)] if len(first) + len(second) <= _LONGEST:
                yield first, second
            case _:
                raise ManifestError(f"its {key!r} has something that is not a pair of strings, or too long")


def _shown(value: object) -> str:
    """Return a value for an error; what is nested is only named, for it may be nested too deeply to be written."""
    return type(value).__name__ if isinstance(value, list | dict) else f"{value!r:.40}"


def check_target(target: str) -> str:
    """Return ``target``; raises ManifestError where it cannot be a path inside an image."""
    if problem := target_problem(target):
        raise ManifestError(f"the target {target!r:.300} {problem}")
    return target


def _is_short_hash(short: str) -> bool:
    if not _SHORT_HASH.fullmatch(short):
        raise ManifestError(f"{short!r:.80} is not the beginning of a SHA-256 of 8 hex digits or more")
    return True
