"""An open image of either format, and its tree."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, overload

from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.tree import CHUNK, Directory, File, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.formats.file_view import FileView
    from hatch_romfs.tree import Node


class View(Protocol):
    """The bytes of an image: in memory, or fetched when they are read."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes | memoryview: ...


class ImageContent(NamedTuple):
    """The data of a file in an image; ``offset`` is in bytes from the start of the image."""

    image: View
    offset: int
    size: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.size:,} bytes at {self.offset:#x}>"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the data as copies, so that no view prevents the image from being closed."""
        end = self.offset + self.size
        for start in range(self.offset, end, CHUNK):
            yield bytes(self.image[start : min(start + CHUNK, end)])

    @property
    def span(self) -> tuple[int, int]:
        """Its start and its end, in bytes from the start of the image."""
        return self.offset, self.offset + self.size

    @property
    def alignment(self) -> int:
        """The largest power of two that divides ``offset``."""
        return self.offset & -self.offset


def image_content(file: File) -> ImageContent:
    """Return the content of a file in the tree of an image, which knows its place."""
    return cast("ImageContent", file.content)


class ImageDirectory(Directory):
    """A directory in an image: ``size`` is the length of its content in bytes, as boards report it."""

    __slots__ = ("size",)

    def __init__(self, entries: dict[str, Node], size: int, *, executable: bool = True) -> None:
        super().__init__(entries, executable=executable)
        self.size = size


class Image:
    """An image of either format.

    ``root`` is its tree, and ``size`` its length in bytes, without anything that follows it in the file. Use it in a
    ``with`` statement, or call ``close``.
    """

    format: str
    root: Directory
    size: int
    name: str | None = None
    version: str | None = None
    content_sha256: str | None = None
    origin: str = "the image"
    """What messages call it: its file, if there is one."""

    def __init__(self, buffer: bytes | memoryview | FileView) -> None:
        self.view = memoryview(buffer).toreadonly() if isinstance(buffer, bytes | memoryview) else buffer
        try:
            self._read()
        except ImageError:
            self.close()
            raise

    def _read(self) -> None:
        """Read the tree, the size, and the metadata. Raises ImageError if the image is not valid."""
        raise NotImplementedError

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{named} from {self.origin}: {self.size:,} bytes>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; contents cannot be read afterwards."""
        self.view.release()

    def sha256(self) -> str:
        """Return the SHA-256 of the whole image, as 64 hex digits."""
        return self.hash_from(0)

    def hash_from(self, start: int) -> str:
        """Return the SHA-256 of the image's bytes from ``start`` to its end."""
        digest = hashlib.sha256()
        for chunk in ImageContent(self.view, start, self.size - start).chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def check(self) -> None:
        """Check the content against the SHA-256 in the image, if there is one. Raises ImageError on a mismatch."""

    def find(self, path: str) -> Node:
        """Return the node at ``path`` (``""`` is the root). Raises SettingsError if there is none."""
        node: Node = self.root
        for name in filter(None, path.split("/")):
            found = node.entries.get(name) if isinstance(node, Directory) else None
            if found is None:
                raise SettingsError(f"the image contains no {path!r}", hint="'romfs-image tree' lists its files.")
            node = found
        return node

    def file(self, path: str) -> File:
        """Return the file at ``path``. Raises SettingsError if there is none."""
        node = self.find(path)
        if not isinstance(node, File):
            raise SettingsError(f"{path!r} is a {kind_of(node)} in the image, not a file")
        return node


def check_trailing(view: View, size: int) -> None:
    """Refuse a file in which the image's ``size`` bytes are followed by anything but 0x00 and 0xff.

    Erased flash is 0xff. mpremote fills the last chunk that it writes with zeros, so a copy of a partition has both.
    """
    for start in range(size, len(view), CHUNK):
        rest = bytes(view[start : start + CHUNK]).lstrip(b"\x00\xff")
        if rest:
            at = min(start + CHUNK, len(view)) - len(rest)
            raise ImageError(f"the image ends at {size}, but other data follows it", offset=at)
