"""List the files in partitions. Only the heads of records, not the data of files, are read over the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, overload

from hatch_romfs.board.agent import READ, attach, fetch
from hatch_romfs.board.autostart import read_main
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython import reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.session import Session
    from hatch_romfs.formats.image import ImageDirectory

PIECE: Final = 48
"""Bytes fetched at once where a file's record stands by itself: its head, its name and the head of its data."""
MOST: Final = 1 << 20
"""Bytes fetched of one image at most: the heads of some 20,000 files, or minutes of a slow line."""


class PartitionListing(NamedTuple):
    """What a partition holds: the tree of its image, or what is wrong with that; neither where there is none.

    The tree's contents cannot be read any more.
    """

    partition: Partition
    root: ImageDirectory | None = None
    problem: ImageError | None = None


def list_files(
    port: str | PortOptions | None = None, *, trace: Trace | None = None
) -> tuple[Board, tuple[PartitionListing, ...]]:
    """Return what a board is, and for each of its partitions what files it holds; raises LinkError."""
    options = PortOptions.of(port)
    with session(options, trace) as found:
        board = replace(found.board, main=read_main(found.repl))
        return board, tuple(_listed(found, partition) for partition in found.board.partitions or ())


def _listed(found: Session, partition: Partition) -> PartitionListing:
    if partition.image_size is None:
        return PartitionListing(partition)
    attach(found.repl, found.board, partition)
    window = Window(lambda at, size: b"".join(fetch(found.repl, at, size)), partition.image_size)
    try:
        return PartitionListing(partition, reader.parse(window).root)
    except ImageError as error:
        return PartitionListing(partition, problem=error)


class Window:
    """The ``size`` bytes of an image, fetched when they are looked at.

    The reader goes forward only, so the last piece is all that is kept. A piece is small, for what follows a
    record's head is a file's data, and doubled wherever the one before it would have reached the next head.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, *, most: int = MOST) -> None:
        self.fetched = 0
        self._most = most
        self._fetch = fetch
        self._size = size
        self._start, self._piece = 0, b""
        self._ahead = PIECE

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytes: ...

    def __getitem__(self, at: int | slice) -> int | bytes:
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._size)
            return self._bytes(start, stop)
        return self._bytes(at, at + 1)[0]

    def _bytes(self, start: int, stop: int) -> bytes:
        end = self._start + len(self._piece)
        if start < self._start or stop > end:
            kept = self._piece[start - self._start :] if self._start <= start < end else b""
            at = start + len(kept)
            self._ahead = min(2 * self._ahead, READ) if at - end < self._ahead else PIECE
            size = min(max(stop - at, self._ahead), self._size - at)
            self.fetched += size
            if self.fetched > self._most:
                limit = f"{self._most >> 20} MiB" if self._most >= 1 << 20 else f"{self._most >> 10} KiB"
                raise ImageError(f"more than {limit} of records; --read OUT gets them all", offset=at)
            self._start, self._piece = start, kept + self._fetch(at, size)
        return self._piece[start - self._start : stop - self._start]
