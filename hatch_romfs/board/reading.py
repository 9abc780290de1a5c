"""Read and compare partitions: what ``romfs-flash`` does without changing a board, for scripts too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hatch_romfs.board import checks
from hatch_romfs.board.agent import attach, fetch, partition_hash, scan
from hatch_romfs.board.autostart import read_main
from hatch_romfs.board.hashes import HASHES, algorithm
from hatch_romfs.board.plan import digests
from hatch_romfs.board.session import PortOptions, ignore_board, session
from hatch_romfs.errors import BoardError, VerifyError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import open_image

if TYPE_CHECKING:
    import os

    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.session import OnBoard
    from hatch_romfs.events import Report


def query(port: str | PortOptions | None = None, *, trace: Trace | None = None) -> Board:
    """Return what a board is, what its partitions hold, and whose ``main.py`` it has; raises LinkError."""
    options = PortOptions.of(port)
    with session(replace(options, identify=True), trace) as found:
        return replace(found.board, main=read_main(found.repl))


def verify(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    on_board: OnBoard = ignore_board,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
    name: str = "",
) -> Board:
    """Compare a partition with an image file; raises VerifyError that names the first block that differs.

    ``name`` is what messages call the image instead of its path.
    """
    options = PortOptions.of(port)
    with open_image(image) as opened:
        opened.check()
        data = memoryview(opened.view[: opened.size])
    with session(options, trace) as found:
        on_board(found.board)
        target = checks.choose_partition(found.board, partition)
        checks.check_fits(len(data), target)
        attach(found.repl, found.board, target)
        on_event(Progress("comparing", 0, len(data)))
        wanted = digests(data, target.geometry.block, HASHES[algorithm(found.board)])
        there = scan(found.repl, target, len(data), algorithm(found.board))
        on_event(Progress("comparing", len(data), len(data)))
    differing = [number for number, want in enumerate(wanted) if there[number].digest != want]
    if differing:
        first = f"block {differing[0]} at {differing[0] * target.geometry.block:#x}"
        raise VerifyError(
            f"{len(differing)} of {len(wanted)} blocks differ from {name or image}, the first of them {first}",
            hint=f"'romfs-flash {name or image}' writes what differs.",
        )
    return found.board


def read(
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    whole: bool = False,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
) -> bytes:
    """Return the image that a partition holds, or with ``whole`` all of its bytes, checked against the board's hash."""
    options = PortOptions.of(port)
    data = read_partition(options, partition=partition, whole=whole, on_event=on_event, trace=trace)[1]
    if not data:
        raise BoardError(f"partition {partition} holds no image", hint="--whole reads it all the same.")
    return data


def read_partition(
    options: PortOptions,
    *,
    partition: int = 0,
    whole: bool = False,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
) -> tuple[Partition, bytes]:
    """Return a partition and the image in it, as ``read`` does; the image is empty if there is none."""
    with session(options, trace) as found:
        target = checks.choose_partition(found.board, partition)
        size = target.geometry.size if whole else target.image_size or 0
        if not size:
            return target, b""
        attach(found.repl, found.board, target)
        data = bytearray()
        for piece in fetch(found.repl, 0, size):
            data += piece
            on_event(Progress("reading", len(data), size))
        how = algorithm(found.board)
        if how != "bytes" and partition_hash(found.repl, found.board, size) != HASHES[how](bytes(data)):
            raise VerifyError("the data that arrived is not what the board holds", hint="Run the same command again.")
        return target, bytes(data)
