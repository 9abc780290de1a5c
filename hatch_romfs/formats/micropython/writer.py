"""A layout to the bytes of an image, as a stream: nothing is decided here, and no image is in memory as a whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_romfs.formats.micropython.layout import Layout, Record


def image_chunks(layout: Layout) -> Iterator[bytes | memoryview]:
    """Yield the image's bytes in order.

    With metadata the contents are read twice, because their hash comes before them. Raises BuildError if a file has
    changed since it was collected.
    """
    if layout.metadata is None:
        yield from _chunks(layout.records)
        return
    root, comment, *content = layout.records
    digest = hashlib.sha256()
    for chunk in _chunks(content):
        digest.update(chunk)
    payload = layout.metadata.signed(digest.hexdigest()).encode()
    yield root.head
    yield comment.head[: -len(payload)] + payload
    yield from _chunks(content)


def _chunks(pieces: Iterable[Record]) -> Iterator[bytes | memoryview]:
    for record in pieces:
        yield record.head
        if record.content is not None:
            yield from record.content.chunks()
