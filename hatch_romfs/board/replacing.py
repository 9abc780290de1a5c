"""What a new image takes away from a partition: found out before anything is erased, and cheaply.

The blocks that the old and the new image have in common need not be read from the board. So an edited image costs only
the heads of the records in the blocks that differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.agent import fetch
from hatch_romfs.board.listing import Window
from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython import reader
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.board.probe import Partition
    from hatch_romfs.board.session import Session
    from hatch_romfs.formats.image import Image

MOST: Final = 64 << 10
"""Bytes that are read from the board at most: the heads of some 1,300 files, or 13 seconds of a slow line."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An image on a board that a new one replaces.

    ``name`` and ``version`` are those of the old image, and ``new_name`` is that of the new one; None where an image
    does not say. ``removed`` are the paths of files in the old image that the new one does not have in any form.
    ``problem`` says why they are not known, "" where they are.
    """

    partition: int
    name: str | None
    version: str | None
    new_name: str | None
    removed: tuple[str, ...]
    problem: str = ""

    @property
    def is_other(self) -> bool:
        """Whether the two images have different names, so that one may be in the wrong place."""
        return self.name != self.new_name


def find_replacement(
    found: Session, target: Partition, image: Image, data: memoryview, equal: Sequence[bool]
) -> Replacement | None:
    """Return what the partition holds that ``image`` replaces, or None if it holds no image.

    ``data`` are the bytes of the new image, and ``equal`` says for each block that they cover whether the partition
    has the same. Raises LinkError.
    """
    if target.image_size is None:
        return None
    name, version = (target.metadata.name, target.metadata.version) if target.metadata else (None, None)
    window = KnownWindow(found, target, data, equal)
    try:
        old = [path for path, _ in files(reader.parse(window).root)]
    except ImageError as error:
        return Replacement(target.number, name, version, image.name, (), error.message)
    modules = {_module(path) for path, _ in files(image.root)}
    removed = tuple(path for path in old if _module(path) not in modules)
    return Replacement(target.number, name, version, image.name, removed)


def _module(path: str) -> str:
    """Return the same path for a module and its compiled form: one replaces the other."""
    return f"{path.removesuffix('.mpy')}.py" if path.endswith(".mpy") else path


class KnownWindow(Window):
    """The image of a partition, whose ``equal`` blocks are those of ``data``; only others come over the wire."""

    def __init__(self, found: Session, target: Partition, data: memoryview, equal: Sequence[bool]) -> None:
        super().__init__(lambda at, size: b"".join(fetch(found.repl, at, size)), target.image_size or 0, most=MOST)
        self._data, self._equal, self._block = data, equal, target.geometry.block

    def _bytes(self, start: int, stop: int) -> bytes:
        blocks = range(start // self._block, -(-stop // self._block))
        if stop <= len(self._data) and all(self._equal[block] for block in blocks):
            return bytes(self._data[start:stop])
        return super()._bytes(start, stop)
