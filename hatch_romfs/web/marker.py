"""The comment in the index of a page by which this command knows its own pages, and every file of them."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

START: Final = b"<!DOCTYPE html>\n"
_BEGIN: Final = START + b"<!-- hatch-romfs page: "
_END: Final = b" -->\n"


def add_marker(index: bytes, paths: Iterable[str]) -> bytes:
    """Return an index with the comment, which lists the paths of all files; no name can end it."""
    names = json.dumps(sorted(paths)).replace("-", "\\u002d").replace(">", "\\u003e")
    return _BEGIN + names.encode() + _END + index.removeprefix(START)


def read_marker(index: bytes) -> set[str] | None:
    """Return the paths of the files that a page consists of, normalized, or None if it is not such a page."""
    if not index.startswith(_BEGIN):
        return None
    try:
        return set(map(normalize, json.loads(index[len(_BEGIN) : index.index(_END)])))
    except (ValueError, TypeError, RecursionError):
        return None


def normalize(path: str) -> str:
    """Return a path in one form of Unicode: macOS may return another than was written."""
    return unicodedata.normalize("NFC", path)
