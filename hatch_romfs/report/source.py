"""Images that callers of the Python API name: open ones, and files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_romfs.formats import open_image
from hatch_romfs.formats.image import Image

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


@contextmanager
def opened(image: Image | str | os.PathLike[str]) -> Iterator[Image]:
    """Return an open image as it is; open an image file, and close it at the end."""
    if isinstance(image, Image):
        yield image
        return
    with open_image(image) as found:
        yield found
