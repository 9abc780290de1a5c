"""An image on the host that behaves like ``VfsRom`` on a board: same results, same errno.

This was compared with ``extmod/vfs_rom.c`` of MicroPython 1.29, quirks included: one leading ``/`` is skipped, ``a/``
finds the directory ``a``, ``f/`` does not find the file ``f``, and ``.`` and ``..`` have no meaning.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, Final, TypeAlias

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.image import Image, ImageDirectory, image_content
from hatch_romfs.formats.micropython import reader
from hatch_romfs.tree import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from hatch_romfs.tree import Node

S_IFDIR: Final = 0x4000
S_IFREG: Final = 0x8000
NAME_MAX: Final = 32767

Stat: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]


class RomImage(Image):
    """A MicroPython ROMFS image: its tree, and the methods of a board's ``VfsRom``.

    Raises ImageError if ``buffer`` does not begin with a valid image.
    """

    format = "micropython"

    def _read(self) -> None:
        parsed = reader.parse(self.view)
        self.root: ImageDirectory = parsed.root
        self.size = parsed.size
        self._content_offset = parsed.content_offset
        if parsed.metadata is not None:
            self.name = parsed.metadata.name
            self.version = parsed.metadata.version
            self.content_sha256 = parsed.metadata.sha256

    def check(self) -> None:
        """Check the content against the SHA-256 in the image, if there is one. Raises ImageError on a mismatch."""
        if self.content_sha256 not in (None, self.hash_from(self._content_offset)):
            message = f"{self.origin}: the content does not match the SHA-256 in the image"
            raise ImageError(message, offset=self._content_offset)

    def open(self, path: str | bytes, mode: str = "r") -> io.TextIOWrapper | RomFile:
        """Open a file: with ``b`` in ``mode`` as a RomFile, else as UTF-8 text with unchanged line ends.

        Raises OSError: EROFS for a mode that writes, ENOENT, EISDIR.
        """
        if set(mode) & set("wa+"):
            raise _os_error(errno.EROFS)
        node = self._lookup(path)
        if isinstance(node, ImageDirectory):
            raise _os_error(errno.EISDIR)
        file = RomFile(self.view[slice(*image_content(node).span)])
        if mode.rfind("b") > mode.rfind("t"):
            return file
        return io.TextIOWrapper(io.BufferedReader(file), "utf-8", newline="\n")

    def ilistdir(self, path: str | bytes) -> Iterator[tuple[str | bytes, int, int, int]]:
        """Iterate over ``(name, type, 0, size)``, in the image's order; names are bytes if ``path`` is.

        Raises OSError (ENOENT) if ``path`` is not a directory.
        """
        node = self._lookup(path)
        if not isinstance(node, ImageDirectory):
            raise _os_error(errno.ENOENT)
        return self._entries(node, isinstance(path, bytes))

    @staticmethod
    def _entries(directory: ImageDirectory, as_bytes: bool) -> Iterator[tuple[str | bytes, int, int, int]]:  # noqa: FBT001
        for name, found in directory.entries.items():
            yield (name.encode() if as_bytes else name, *_kind(found))

    def stat(self, path: str | bytes) -> Stat:
        """Return the ten fields of ``os.stat`` on a board: mode at 0, size in bytes at 6, else 0."""
        mode, _, size = _kind(self._lookup(path))
        return (mode, 0, 0, 0, 0, 0, size, 0, 0, 0)

    def statvfs(self, _path: str | bytes = "/") -> Stat:
        """Return block size 1 at 0, at 2 the image's payload in bytes, the longest name at 9, else 0."""
        return (1, 0, self.root.size, 0, 0, 0, 0, 0, 0, NAME_MAX)

    def chdir(self, path: str | bytes) -> None:
        """Accept ``/``, the only directory that can be the current one; raises OSError (EOPNOTSUPP) for any other."""
        if (path if isinstance(path, str) else path.decode(errors="surrogateescape")) != "/":
            raise _os_error(errno.EOPNOTSUPP)

    def getcwd(self) -> str:
        """Return the current directory, which is always ``/``, as documented; the driver of 1.29 returns ``""``."""
        return "/"

    def _lookup(self, path: str | bytes) -> ImageDirectory | File:
        text = path.decode(errors="surrogateescape") if isinstance(path, bytes) else path
        node: ImageDirectory | File = self.root
        rest = text.removeprefix("/")
        while rest:
            name, slash, rest = rest.partition("/")
            found = node.entries.get(name) if isinstance(node, ImageDirectory) else None
            if not isinstance(found, ImageDirectory | File) or (slash and isinstance(found, File)):
                raise _os_error(errno.ENOENT)
            node = found
        return node


class RomFile(io.RawIOBase):
    """A file of an image, open in binary mode; ``memory`` is its bytes in place."""

    def __init__(self, memory: memoryview) -> None:
        super().__init__()
        self.memory = memory
        self._at = 0

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"at {self._at:,} of {len(self.memory):,} bytes"
        return f"<{type(self).__name__} {state}>"

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be sought."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` and return the number of bytes; 0 at the end."""
        into = memoryview(buffer).cast("B")
        part = self.memory[self._at : self._at + len(into)]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; a position beyond the end means the end, and one before the start raises OSError (EINVAL)."""
        target = offset + {os.SEEK_CUR: self._at, os.SEEK_END: len(self.memory)}.get(whence, 0)
        if target < 0:
            raise _os_error(errno.EINVAL)
        self._at = min(target, len(self.memory))
        return self._at

    def close(self) -> None:
        """Release the memory of the image."""
        self.memory.release()
        super().close()


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _kind(node: Node) -> tuple[int, int, int]:
    if isinstance(node, ImageDirectory):
        return S_IFDIR, 0, node.size
    return S_IFREG, 0, node.size if isinstance(node, File) else 0
