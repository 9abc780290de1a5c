"""Finding images inside a dump of a flash memory, or inside any other file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError, unreadable
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.formats.file_view import FileView
from hatch_romfs.tree import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = re.compile(b"|".join(map(re.escape, MAGICS.values())))
_OVERLAP = max(map(len, MAGICS.values())) - 1


class FoundImage(NamedTuple):
    """A valid image in a file: where it begins, and its size, both in bytes."""

    offset: int
    size: int
    format: str
    name: str | None
    version: str | None


def scan(path: Path) -> Iterator[FoundImage]:
    """Yield the valid images in a file, in order; those inside other images are not listed. Raises SettingsError."""
    end = 0
    for offset in _candidates(path):
        if offset < end:
            continue
        try:
            with open_image(path, offset=offset) as image:
                end = offset + image.size
                yield FoundImage(offset, image.size, image.format, image.name, image.version)
        except ImageError:  # bytes that only look like the start of one
            continue


def _candidates(path: Path) -> Iterator[int]:
    try:
        view = FileView(path)
    except OSError as error:
        raise unreadable(path, error, "a file, such as a dump of the flash") from error
    try:
        for start in range(0, len(view), CHUNK):
            part = bytes(view[start : start + CHUNK + _OVERLAP])
            yield from (start + match.start() for match in _MAGIC.finditer(part) if match.start() < CHUNK)
    finally:
        view.release()
