"""The images inside wheels, read without unpacking anything else."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.formats import MAGICS, read_image
from hatch_romfs.images.installed import select_image
from romfs_manifest.shared.opening import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.formats.image import Image

MAX_IMAGE: Final = 64 << 20
"""The bytes of an image inside a wheel, at most: it is kept in memory, and may be compressed a thousandfold."""
_START: Final = max(map(len, MAGICS.values()))
_LOCAL_HEADER: Final = b"PK\x03\x04"
"""The first bytes of a ZIP file that contains anything."""
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What the ``zipfile`` module raises for damaged, encrypted, and unknown archives."""


def is_wheel(path: Path) -> bool:
    """Return whether a file is a wheel, or any other ZIP file."""
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(len(_LOCAL_HEADER)) == _LOCAL_HEADER
    except OSError:
        return False


def list_images(path: Path) -> list[str]:
    """Return the names of the images in a wheel; raises ImageError if it is damaged."""
    with _open_wheel(path) as wheel:
        return [info.filename for info in image_entries(wheel)]


def open_in_wheel(path: Path, name: str | None = None) -> Image:
    """Open the image in a wheel; if it contains several, ``name`` says which, as for ``installed_image``.

    Raises SettingsError if there is no such image or more than one, and ImageError if the wheel or the image is not
    valid.
    """
    with _open_wheel(path) as wheel:
        found = select_image([info.filename for info in image_entries(wheel)], name, f"{path}")
        data = read_entry(wheel, wheel.getinfo(found))
    try:
        image = read_image(data)
    except ImageError as error:
        raise ImageError(f"{path}: {found}: {error.what}", offset=error.offset) from None
    image.origin = f"{found} in {path}"
    return image


@contextmanager
def _open_wheel(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as wheel:
            yield wheel
    except _DAMAGED as error:
        raise ImageError(f"{path}: the wheel is damaged: {error}", offset=0) from error


def image_entries(wheel: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the entries of a wheel that begin like an image; reads only the first bytes of each."""
    for info in wheel.infolist():
        with wheel.open(info) as file:
            if file.read(_START).startswith(tuple(MAGICS.values())):
                yield info


def read_entry(wheel: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return an image in a wheel. Raises SettingsError if it is too large, whatever size the wheel states."""
    with wheel.open(info) as file:
        data = file.read(MAX_IMAGE + 1)
    if len(data) > MAX_IMAGE:
        raise SettingsError(
            f"{info.filename} is larger than {MAX_IMAGE >> 20} MiB", hint="Unpack the wheel, and name the image file."
        )
    return data
