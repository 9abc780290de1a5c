"""An image into a partition, and back: what ``romfs-flash`` does, for scripts too. Nothing prints here."""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_romfs.board import checks
from hatch_romfs.board.channel import HASHES, algorithm, attach, fetch, open_channel, scan, told
from hatch_romfs.board.plan import Block, digests, make_plan
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.board.writing import Writer
from hatch_romfs.errors import BoardError, LinkError, VerifyError
from hatch_romfs.formats import open_image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.plan import Plan
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.session import Session
    from hatch_romfs.formats.image import Image

    OnBoard = Callable[[Board], None]
    OnEvent = Callable[[str, int, int], None]


def unheard(_doing: str, _done: int, _total: int) -> None:
    """Take events that nobody asked for."""


def unmet(_board: Board) -> None:
    """Take a board that nobody wants to look at."""


@dataclass(frozen=True, slots=True)
class Flashed:
    """What was done: the board and its partition, the plan, and what it cost.

    ``size`` is the image's in bytes, ``sent`` and ``received`` are bytes on the wire, ``rewritten`` counts how often
    a block had to be written again, ``mounted`` says whether the board was seen to mount the image after its reset,
    None where that was left out.
    """

    board: Board
    partition: Partition
    plan: Plan
    size: int
    sent: int
    received: int
    rewritten: int
    mounted: bool | None


def query(port: str | PortOptions | None = None, *, trace: Trace | None = None) -> Board:
    """Return what a board is and what its partitions hold; raises LinkError."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with session(options, trace) as found:
        return found.board


def flash(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    reset: bool = True,
    on_board: OnBoard = unmet,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> Flashed:
    """Write an image file into a partition of a board, so that a cut at any moment leaves nothing broken that mounts.

    ``port`` is a port's name or URL, ``id:SERIAL`` or None for the only board. ``force`` writes code that the
    firmware refuses, ``full`` also the blocks that are right already, ``dry_run`` nothing at all. ``on_board`` is
    told what board was found, before anything is checked or erased; ``on_event`` what is being done, how much of it,
    and of how much, in bytes.

    Raises ImageError, LinkError, BoardError before anything is erased, and VerifyError.
    """
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with open_image(image) as opened:
        opened.check()
        if opened.format != "micropython":
            raise BoardError(f"{image} is no MicroPython image", hint="No board mounts it as its ROMFS.")
        data = _copied(opened)
        with session(options, trace) as found:
            found.reset = reset
            on_board(found.board)
            target = checks.choose_partition(found.board, partition)
            checks.check_writable(found.board, target)
            checks.check_fits(len(data), target)
            if not force:
                checks.check_code(opened, found.board)
            plan, rewritten = _write(found, target, data, full=full, dry_run=dry_run, on_event=on_event)
            mounted = _reset(found, len(data), on_event) if reset and not dry_run and partition == 0 else None
            sent, received = found.link.sent, found.link.received
            return Flashed(found.board, target, plan, len(data), sent, received, rewritten, mounted)


def _copied(image: Image) -> memoryview:
    """Return an image's bytes; an error that holds on to parts of the file itself would keep it from being closed."""
    return memoryview(bytes(image.view[: image.size]))


def _write(  # noqa: PLR0913 - what flash was asked for
    found: Session, target: Partition, image: memoryview, *, full: bool, dry_run: bool, on_event: OnEvent
) -> tuple[Plan, int]:
    """Plan and carry it out; return the plan and how many blocks were written again."""
    found.quiesce()
    attach(found.repl, found.board, target)
    hashed = HASHES[algorithm(found.board)]
    geometry = target.geometry
    wanted = digests(image, geometry.block, hashed)

    def planned() -> Plan:
        return make_plan(
            len(image), wanted, scan(found.repl, found.board, len(image), geometry.block), geometry, full=full
        )

    on_event("comparing", 0, len(image))
    plan = planned()
    on_event("comparing", len(image), len(image))
    if dry_run:
        return plan, 0
    if not plan.writes:
        return plan, 0  # the comparison has shown that every byte is right
    with _channel(found) as channel:
        writer = Writer(channel, image, geometry, hashed, on_event)
        writer.carry_out(plan, lambda: make_plan(len(image), wanted, _unknown(wanted), geometry, full=True))
    _complete(found, target.number)
    return plan, writer.rewritten


def _complete(found: Session, partition: int) -> None:
    """Tell the port that writing is over; most ports know no such operation and answer -22."""
    answer = found.repl.value(f"try:print(io_(5,{partition}))\nexcept Exception as e:print(repr(repr(e)))")
    if isinstance(answer, str) or (isinstance(answer, int) and answer < 0 and answer != -errno.EINVAL):
        raise VerifyError(
            f"every byte is in the partition, but the board could not complete writing it: {answer}",
            hint="Run the same command again.",
        )


def _unknown(wanted: list[str]) -> list[Block]:
    return [Block("", blank=False) for _ in wanted]


@contextmanager
def _channel(found: Session) -> Iterator[Channel]:
    channel = open_channel(found.repl, found.board)
    try:
        yield channel
    except LinkError:
        raise
    except BaseException:
        # The board waits for a frame, also after a Ctrl-C here.
        with suppress(LinkError):
            found.repl.enter()
        raise
    else:
        channel.close()


def _reset(found: Session, size: int, on_event: OnEvent) -> bool:
    """Reset the board and see whether it mounts the image."""
    on_event("resetting", 0, 1)
    found.restart()
    blocks = found.repl.value("import os\ntry:print(os.statvfs('/rom')[2])\nexcept OSError:print(-1)")
    on_event("resetting", 1, 1)
    if not isinstance(blocks, int) or not 0 <= size - blocks < 16:  # noqa: PLR2004 - the header's length
        raise VerifyError(
            "the image is in the partition, whole, but the board does not mount it at /rom",
            hint="Does its boot.py unmount it, or mount something else there?",
        )
    return True


def verify(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    on_board: OnBoard = unmet,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> Board:
    """Compare a partition with an image file; raises VerifyError that names the first block that differs."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with open_image(image) as opened:
        opened.check()
        data = _copied(opened)
    with session(options, trace) as found:
        on_board(found.board)
        target = checks.choose_partition(found.board, partition)
        checks.check_fits(len(data), target)
        attach(found.repl, found.board, target)
        on_event("comparing", 0, len(data))
        wanted = digests(data, target.geometry.block, HASHES[algorithm(found.board)])
        there = scan(found.repl, found.board, len(data), target.geometry.block)
        on_event("comparing", len(data), len(data))
    differing = [number for number, want in enumerate(wanted) if there[number].digest != want]
    if differing:
        first = f"block {differing[0]} at {differing[0] * target.geometry.block:#x}"
        raise VerifyError(
            f"{len(differing)} of {len(wanted)} blocks differ from {image}, the first of them {first}",
            hint="'romfs-flash IMAGE' writes what differs.",
        )
    return found.board


def read(
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    whole: bool = False,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> bytes:
    """Return the image that a partition holds, or with ``whole`` all of its bytes, held against the board's hash."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with session(options, trace) as found:
        target = checks.choose_partition(found.board, partition)
        if not whole and target.image_size is None:
            raise BoardError(f"partition {partition} holds no image", hint="--whole reads it all the same.")
        size = target.geometry.size if whole else target.image_size or 0
        attach(found.repl, found.board, target)
        data = bytearray()
        for piece in fetch(found.repl, 0, size):
            data += piece
            on_event("reading", len(data), size)
        how = algorithm(found.board)
        if how != "bytes" and told(found.repl, found.board, size) != HASHES[how](bytes(data)):
            raise VerifyError("what came over the line is not what the board holds", hint="Run the same command again.")
        return bytes(data)


def erase(
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> Board:
    """Erase a partition, from its header on; raises VerifyError where it still holds something."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with session(options, trace) as found:
        target = checks.choose_partition(found.board, partition)
        checks.check_writable(found.board, target)
        found.quiesce()
        attach(found.repl, found.board, target)
        with _channel(found) as channel:
            Writer(channel, memoryview(b""), target.geometry, HASHES[algorithm(found.board)], on_event).clear()
        return found.board
