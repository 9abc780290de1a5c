"""The cells of the data of a file: the sections of a module, the cells of a nested image, or one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import ImageError
from hatch_romfs.formats import MAGICS
from hatch_romfs.paths import join
from hatch_romfs.report.cells import Cell
from hatch_romfs.report.mpy import mpy_sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.formats.image import Image, ImageContent

_MAX_NESTED: Final = 2
"""Images inside one another whose content is shown, at most: each level takes stack, and no real image has two."""
_LARGEST_MODULE: Final = 16 << 20
"""Bytes of a module that is divided into sections, at most."""
_LONGEST_MAGIC: Final = max(map(len, MAGICS.values()))


def content_cells(
    content: ImageContent, path: str, depth: int, image_cells: Callable[[Image, int], tuple[Cell, ...]]
) -> list[Cell]:
    """Return the cells of the data of a file; ``image_cells`` returns those of an image in it.

    Only modules and images are read as a whole, because a file can be larger than memory.
    """
    offset, size = content.offset, content.size
    if (
        path.endswith(".mpy")
        and size <= _LARGEST_MODULE
        and (sections := mpy_sections(_read(content, size))) is not None
    ):
        return [
            Cell(offset + section.start, section.size, section.kind, path, section.part, section.memory)
            for section in sections
        ]
    image = _open(content) if depth < _MAX_NESTED else None
    if image is not None:
        with image:
            inner = [
                cell._replace(offset=offset + cell.offset, path=join(path, cell.path) if cell.path else path)
                for cell in image_cells(image, depth + 1)
            ]
            rest = size - image.size
        return [*inner, Cell(offset + size - rest, rest, "unused", path)] if rest else inner
    if not size:
        return []
    is_source = path.endswith(".py")
    return [Cell(offset, size, "source" if is_source else "data", path, memory="" if is_source else "flash")]


def _open(content: ImageContent) -> Image | None:
    """Return the image that the data is, or None. It can be followed by erased flash."""
    from hatch_romfs.formats.linux.image import LinuxImage  # noqa: PLC0415 - few files are images
    from hatch_romfs.formats.micropython.image import RomImage  # noqa: PLC0415

    head = _read(content, _LONGEST_MAGIC)
    for magic, kind in ((MAGICS["micropython"], RomImage), (MAGICS["linux"], LinuxImage)):
        if head.startswith(magic):
            try:
                return kind(_read(content, content.size))
            except ImageError:
                return None
    return None


def _read(content: ImageContent, size: int) -> bytes:
    """Return the first bytes of the data."""
    return bytes(content.image[content.offset : content.offset + min(size, content.size)])
