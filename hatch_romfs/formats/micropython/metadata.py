"""The comment at the start of an image with its name, version, and hash.

It is a record of kind 1, which every reader of the format skips. Its payload is one JSON object in UTF-8 that begins
with the bytes ``{"hatch-romfs":1,``. ``sha256`` is the SHA-256 of every byte of the image after the record, so that
anything, even a board, can check the content without knowing the format::

    {"hatch-romfs":1,"name":"app","sha256":"9f86d0…","version":"1.2.0"}

``name`` and ``version`` are the project's, and missing if there is none. The object is followed by spaces up to a size
that is the same for all versions of at most 32 bytes, so that another version moves nothing.
"""

from __future__ import annotations

import json
from typing import NamedTuple

SIGNATURE = b'{"hatch-romfs":1,'
MAX_SIZE = 4096
"""A larger payload is not metadata."""
_VERSION_ROOM = 32
"""Bytes for a version; a longer one has a multiple of them."""


class Metadata(NamedTuple):
    """The metadata of an image; ``sha256`` is of every byte after the record, as 64 hex digits."""

    name: str | None = None
    version: str | None = None
    sha256: str = "0" * 64

    def encode(self) -> bytes:
        """Return the record's payload; its length does not depend on ``sha256``."""
        fields = {"name": self.name, "sha256": self.sha256, "version": self.version}
        body = {"hatch-romfs": 1} | {key: value for key, value in fields.items() if value is not None}
        text = _dump(body)
        return text if self.version is None else text + b" " * (-len(_dump(self.version)[1:-1]) % _VERSION_ROOM)

    def signed(self, sha256: str) -> Metadata:
        """Return the same metadata with the content's hash."""
        return self._replace(sha256=sha256)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decode(payload: bytes) -> Metadata | None:
    """Return the metadata in the payload of a comment record, or None if it is something else."""
    if not payload.startswith(SIGNATURE) or len(payload) > MAX_SIZE:
        return None
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    fields = {key: body.get(key) for key in ("name", "version", "sha256")}
    if not isinstance(fields["sha256"], str) or any(not isinstance(v, str | None) for v in fields.values()):
        return None
    return Metadata(**{key: value and _without_surrogates(value) for key, value in fields.items()})


def _without_surrogates(text: str) -> str:
    """Return a text that can be encoded: JSON can contain halves of characters."""
    return text.encode(errors="replace").decode()
