"""Trees to the bytes of images, and back. The packages of the formats are pure; files are opened here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import ImageError, unreadable

if TYPE_CHECKING:
    import os

    from hatch_romfs.formats.file_view import FileView
    from hatch_romfs.formats.linux.image import LinuxImage
    from hatch_romfs.formats.micropython.image import RomImage

MAGICS: Final = {"micropython": b"\xd2\xcd\x31", "linux": b"-rom1fs-"}
"""The first bytes of the images of each format."""


def open_image(path: str | os.PathLike[str], *, offset: int | None = None) -> RomImage | LinuxImage:
    """Open an image file of either format, told apart by their magic; data is read only when it is needed.

    With ``offset``, in bytes, the image begins there, and anything can follow it, as in a dump of a flash memory.
    Raises SettingsError if the file cannot be read, and ImageError if it is not a valid image.
    """
    from hatch_romfs.formats.file_view import FileView  # noqa: PLC0415 - not every user of this package opens a file

    try:
        view = FileView(path, offset or 0)
    except OSError as error:
        raise unreadable(path, error, "an image file") from error
    try:
        if offset is not None:
            view.limit(_stated_size(view))
        image = read_image(view)
    except ImageError as error:
        raise ImageError(f"{path}: {error.what}", offset=error.offset) from None
    image.origin = str(path)
    return image


def is_image(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins with the magic of an image, which can be broken all the same."""
    from romfs_manifest.shared.opening import open_regular  # noqa: PLC0415

    try:
        with open(open_regular(path), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            return file.read(max(map(len, MAGICS.values()))).startswith(tuple(MAGICS.values()))
    except OSError:
        return False


def _stated_size(view: FileView) -> int:
    """Return the size that the header of an image states, in bytes; it may be wrong."""
    head = bytes(view[:16])
    if head.startswith(MAGICS["linux"]):
        return -(-int.from_bytes(head[8:12], "big") // 1024) * 1024
    size, at = 0, len(MAGICS["micropython"])
    for byte in head[at:]:
        size, at = size << 7 | byte & 0x7F, at + 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            break
    return size + at


def read_image(buffer: bytes | FileView) -> RomImage | LinuxImage:
    """Return an image of either format from its bytes. Raises ImageError if it is not valid."""
    if not buffer:
        if not isinstance(buffer, bytes):
            buffer.release()
        raise ImageError("the file is empty", offset=0)
    if bytes(buffer[:8]) == MAGICS["linux"]:
        from hatch_romfs.formats.linux.image import LinuxImage  # noqa: PLC0415

        return LinuxImage(buffer)
    from hatch_romfs.formats.micropython.image import RomImage  # noqa: PLC0415

    return RomImage(buffer)
