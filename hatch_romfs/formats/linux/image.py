"""A Linux romfs image on the host."""

from __future__ import annotations

from hatch_romfs.formats.image import Image, check_trailing
from hatch_romfs.formats.linux import headers, reader


class LinuxImage(Image):
    """A Linux romfs image: its tree; ``name`` is that of the volume, and ``size`` includes the padding.

    Raises ImageError if ``buffer`` does not begin with a valid image.
    """

    format = "linux"

    def _read(self) -> None:
        parsed = reader.parse(self.view)
        self.root = parsed.root
        self.name = parsed.volume
        self.size = min(headers.padded(parsed.size, headers.BLOCK), len(self.view))
        if any(bytes(self.view[parsed.size : self.size])):
            self.size = parsed.size  # written without padding; erased flash follows
        check_trailing(self.view, self.size)
