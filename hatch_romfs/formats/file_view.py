"""The bytes of an image file, read when they are needed.

The file is not mapped into memory: if a mapped file becomes shorter, the system ends the process.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import overload

from hatch_romfs.errors import ImageError
from romfs_manifest.shared.opening import open_regular

_WINDOW = 1 << 16
"""Bytes that are read at once: parsing an image reads many small neighbors."""


class FileView:
    """A regular file as a sequence of bytes. Raises OSError, also for a pipe or a device, which is never waited for."""

    def __init__(self, path: str | os.PathLike[str], start: int = 0) -> None:
        self._file = open(open_regular(path), "rb", buffering=0)  # noqa: PTH123, SIM115 - closed by close()
        self._start = start
        self._size = max(os.fstat(self._file.fileno()).st_size - start, 0)
        self._lock = Lock()
        self._window, self._at = b"", 0

    def __del__(self) -> None:
        """Close the file of an image that was not closed."""
        if hasattr(self, "_file"):
            self._file.close()

    def __len__(self) -> int:
        """Return how many there were when the file was opened."""
        return self._size

    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> memoryview: ...
    def __getitem__(self, at: int | slice, /) -> int | memoryview:
        """Return one byte, or those of a slice. Raises ImageError if the file has become shorter."""
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._size)
            return memoryview(self._bytes(start, max(stop, start)))
        if not 0 <= at < self._size:
            raise IndexError(at)
        return self._bytes(at, at + 1)[0]

    def limit(self, size: int) -> None:
        """Leave out everything after the first ``size`` bytes."""
        self._size = min(self._size, size)

    def release(self) -> None:
        """Close the file."""
        self._file.close()

    def _bytes(self, start: int, stop: int) -> bytes:
        with self._lock:
            if stop - start >= _WINDOW:
                return self._read(start, stop)
            if start < self._at or stop > self._at + len(self._window):
                self._window, self._at = self._read(start, min(start + _WINDOW, self._size)), start
            return self._window[start - self._at : stop - self._at]

    def _read(self, start: int, stop: int) -> bytes:
        self._file.seek(self._start + start)
        data = bytearray()
        while len(data) < stop - start and (chunk := self._file.read(stop - start - len(data))):
            data += chunk
        if len(data) < stop - start:
            raise ImageError("the file became shorter while it was being read", offset=start + len(data))
        return bytes(data)
