"""An image into a partition, and back: what ``romfs-flash`` does, for scripts too. Nothing prints here."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatch_romfs.board import checks
from hatch_romfs.board.channel import ANSWER, HASHES, SLOWEST, algorithm, attach, open_channel, scan
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

    OnEvent = Callable[[str, int, int], None]

READ: Final = 2048
"""Bytes that one read of a partition brings back."""


def unheard(_doing: str, _done: int, _total: int) -> None:
    """Take events that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Flashed:
    """What was done: the board and its partition, the plan, and what it cost.

    ``sent`` and ``received`` are bytes on the wire, ``rewritten`` counts blocks that had to be written again,
    ``mounted`` says whether the board was seen to mount the image after its reset, None where that was left out.
    """

    board: Board
    partition: Partition
    plan: Plan
    sent: int
    received: int
    rewritten: int
    mounted: bool | None


def query(port: str | PortOptions | None = None, *, trace: Trace | None = None) -> Board:
    """Return what a board is and what its partitions hold; raises LinkError."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with session(options, trace) as board:
        board.let_run()
        return board.board


def flash(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    reset: bool = True,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> Flashed:
    """Write an image file into a partition of a board, so that a cut at any moment leaves nothing broken that mounts.

    ``port`` is a port's name or URL, ``id:SERIAL`` or None for the only board. ``force`` writes code that the
    firmware refuses, ``full`` also the blocks that are right already, ``dry_run`` nothing at all. ``on_event`` is
    told what is being done, how much of it, and of how much, in bytes.

    Raises ImageError, LinkError, BoardError before anything is erased, and VerifyError.
    """
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with open_image(image) as opened:
        opened.check()
        if opened.format != "micropython":
            raise BoardError(f"{image} is no MicroPython image", hint="No board mounts it as its ROMFS.")
        data = opened.view[: opened.size]
        try:
            with session(options, trace) as found:
                target = checks.choose_partition(found.board, partition)
                checks.check_writable(found.board, target)
                checks.check_fits(len(data), target)
                if not force:
                    checks.check_code(opened, found.board)
                plan, rewritten = _write(found, target, data, full=full, dry_run=dry_run, on_event=on_event)
                mounted = _reset(found, len(data), on_event) if reset and not dry_run and partition == 0 else None
                found.let_run()
                return Flashed(found.board, target, plan, found.link.sent, found.link.received, rewritten, mounted)
        finally:
            data.release()


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
    return plan, writer.rewritten


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
        # Ctrl-C here must not leave the board waiting for a frame.
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


def verify(
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    on_event: OnEvent = unheard,
    trace: Trace | None = None,
) -> Board:
    """Compare a partition with an image file; raises VerifyError that names the first block that differs."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    with open_image(image) as opened, session(options, trace) as found:
        opened.check()
        target = checks.choose_partition(found.board, partition)
        checks.check_fits(opened.size, target)
        attach(found.repl, found.board, target)
        on_event("comparing", 0, opened.size)
        with opened.view[: opened.size] as data:
            wanted = digests(data, target.geometry.block, HASHES[algorithm(found.board)])
        there = scan(found.repl, found.board, opened.size, target.geometry.block)
        on_event("comparing", opened.size, opened.size)
        found.let_run()
        differing = [number for number, want in enumerate(wanted) if there[number].digest != want]
        if differing:
            first = differing[0] * target.geometry.block
            raise VerifyError(
                f"{len(differing)} of {len(wanted)} blocks differ from {image}, the first at {first:#x}",
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
        while len(data) < size:
            part = min(READ, size - len(data))
            said = found.repl.run(f"print(text(look({len(data)},{part})))", ANSWER + part)
            data += bytes.fromhex(said.strip())
            on_event("reading", len(data), size)
        how = algorithm(found.board)
        if found.repl.run(f"print(digest(0,{size}))", ANSWER + size / SLOWEST[how]).strip()[1:] != HASHES[how](
            bytes(data)
        ):
            raise VerifyError("what came over the line is not what the board holds", hint="Run the same command again.")
        found.let_run()
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
        found.let_run()
        return found.board
