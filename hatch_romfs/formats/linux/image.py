"""A Linux romfs image on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.image import Image, check_trailing
from hatch_romfs.formats.linux import headers, reader

if TYPE_CHECKING:
    import mmap


class LinuxImage(Image):
    """An image of Linux's romfs: its tree; ``name`` is that of the volume, ``size`` has the padding in it.

    Raises ImageError when ``buffer`` does not begin with a sound image.
    """

    format = "linux"

    def __init__(self, buffer: bytes | memoryview | mmap.mmap) -> None:
        super().__init__(buffer)
        try:
            parsed = reader.parse(self.view)
            self.size = min(headers.padded(parsed.size, headers.BLOCK), len(self.view))
            _check_padding(self.view[parsed.size : self.size], parsed.size)
            check_trailing(self.view, self.size)
        except ImageError:
            self.close()
            raise
        self.root = parsed.root
        self.name = parsed.volume


def _check_padding(padding: memoryview, start: int) -> None:
    if any(bytes(padding)):
        raise ImageError("the padding behind the image is not zero", offset=start)
