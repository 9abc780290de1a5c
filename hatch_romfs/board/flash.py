"""Write an image into a partition, or erase one: what ``romfs-flash`` does, for scripts too. Nothing prints here."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from hatch_romfs.board import checks
from hatch_romfs.board.agent import attach, partition_hash, scan
from hatch_romfs.board.channel import channel_on
from hatch_romfs.board.delta import is_possible, make_copying_plan, memory_for
from hatch_romfs.board.flashed import find_old_image, remember
from hatch_romfs.board.hashes import HASHES, algorithm, fast_algorithm
from hatch_romfs.board.mperrno import EINVAL, describe
from hatch_romfs.board.plan import Block, digests, make_plan, spans
from hatch_romfs.board.probe import HEAD
from hatch_romfs.board.replacing import find_replacement
from hatch_romfs.board.session import PortOptions, ignore_board, session
from hatch_romfs.board.writer import Writer
from hatch_romfs.errors import FlashInterrupted, LinkError, VerifyError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import open_image
from hatch_romfs.formats.micropython.head import mounted_size_matches, read_head

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.blocks import State
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.plan import Geometry, Plan
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.board.session import OnBoard, Session
    from hatch_romfs.events import Report
    from hatch_romfs.formats.image import Image

    OnFlashed = Callable[[Session, "FlashResult"], None]
    OnReplace = Callable[[Replacement], None]


def ignore_result(_session: Session, _result: FlashResult) -> None:
    """Do nothing: the default for callers with nothing to do on the board after it was flashed."""


@dataclass(frozen=True, slots=True)
class FlashResult:
    """What was done: the board and its partition, the plan, and what it cost.

    ``size`` is the image's in bytes, ``sent`` and ``received`` are bytes on the wire. ``rewritten`` counts how often a
    block had to be written again, ``resent`` how many frames the line lost. ``mounted`` says whether the board was seen
    to mount the image after its reset, None if that was not checked. ``copied`` counts those of the written bytes
    that the board copied from another place.
    """

    board: Board
    partition: Partition
    plan: Plan
    size: int
    sent: int
    received: int
    rewritten: int
    mounted: bool | None
    resent: int = 0
    copied: int = 0

    def __repr__(self) -> str:
        where = f"partition {self.partition.number} of {self.board!r}"
        return f"<{type(self).__name__}: {self.size:,} bytes in {where}, {self.plan!r}, mounted={self.mounted}>"


def flash(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    reset: bool = True,
    on_board: OnBoard = ignore_board,
    on_event: Report = ignore_progress,
    on_replace: OnReplace | None = None,
    on_flashed: OnFlashed = ignore_result,
    trace: Trace | None = None,
    name: str = "",
) -> FlashResult:
    """Write an image file into a partition; no interruption leaves a damaged image that the board would mount.

    ``port`` is a port's name or URL, ``id:SERIAL`` or None for the only board. ``force`` writes code that the
    firmware refuses, ``full`` also the blocks that are right already, ``dry_run`` nothing at all. ``on_board`` is
    called with the board before anything is checked or erased; ``on_event`` what is being done, how much of it,
    and of how much, in bytes. ``on_replace`` is called before anything is erased if the partition holds another image;
    the write does not begin if it raises an exception. Without it, the board is not asked for the files of that image.
    ``on_flashed`` is called while the board is still at its prompt, after a reset without ``boot.py``. ``name`` is what
    messages call the image instead of its path.

    Raises ImageError, LinkError, BoardError before anything is erased, and VerifyError.
    """
    options = PortOptions.of(port)
    with open_image(image) as opened:
        opened.check()
        checks.check_format(opened, name or image)
        with session(options, trace) as found:
            found.reset = reset
            on_board(found.board)
            result = flash_on(
                found,
                opened,
                partition=partition,
                force=force,
                full=full,
                dry_run=dry_run,
                on_event=on_event,
                on_replace=on_replace,
            )
            on_flashed(found, result)
            return result


def flash_on(  # noqa: PLR0913 - the options of a command
    found: Session,
    image: Image,
    *,
    partition: int = 0,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    on_event: Report = ignore_progress,
    on_replace: OnReplace | None = None,
) -> FlashResult:
    """Do what ``flash`` does with a valid image, on a board that has a prompt already, and has it again afterwards.

    Raises LinkError, BoardError before anything is erased, and VerifyError.
    """
    checks.check_format(image, "the image")
    data = memoryview(image.view[: image.size])
    target = checks.choose_partition(found.board, partition)
    checks.check_writable(found.board, target)
    checks.check_fits(len(data), target)
    if not force:
        checks.check_code(image, found.board)

    def before_write(equal: list[bool]) -> None:
        if on_replace is not None and (replacement := find_replacement(found, target, image, data, equal)):
            on_replace(replacement)

    plan, writer = _write(found, target, data, full=full, dry_run=dry_run, on_event=on_event, before_write=before_write)
    mounted = _reset(found, data, on_event) if found.reset and not dry_run and partition == 0 else None
    sent, received = found.link.sent, found.link.received
    rewritten, resent, copied = (writer.rewritten, writer.channel.resent, writer.copied) if writer else (0, 0, 0)
    return FlashResult(found.board, target, plan, len(data), sent, received, rewritten, mounted, resent, copied)


def _write(  # noqa: PLR0913 - what flash was asked for
    found: Session,
    target: Partition,
    image: memoryview,
    *,
    full: bool,
    dry_run: bool,
    on_event: Report,
    before_write: Callable[[list[bool]], None],
) -> tuple[Plan, Writer | None]:
    """Make a plan and carry it out; return the plan, and the writer if anything had to be written.

    ``before_write`` is called with whether each block is right already, if they are not all.
    """
    found.quiesce()
    attach(found.repl, found.board, target)
    hash_of = HASHES[algorithm(found.board)]
    plan, equal = _compare(found, target, image, full=full, on_event=on_event)
    if not all(equal):
        before_write(equal)
    if dry_run:
        return plan, None
    if not plan.writes:
        # The comparison was a quick one: this is the proof.
        if partition_hash(found.repl, found.board, len(image)) == hash_of(image):
            remember(bytes(image))
            return plan, None
        plan = _full_plan(image, target.geometry)
    parts = ("agent_write", "agent_copy") if plan.copies else ("agent_write",)
    with channel_on(found.repl, found.board, *parts) as channel:
        writer = Writer(channel, image, target.geometry, hash_of, on_event, target.head)
        with _reporting_state(writer, target.number):
            writer.carry_out(plan, partial(_full_plan, image))
    _complete(found, target.number)
    remember(bytes(image))
    return plan, writer


def _compare(
    found: Session, target: Partition, image: memoryview, *, full: bool, on_event: Report
) -> tuple[Plan, list[bool]]:
    """Compare the partition with the image and plan what has to be done; also return which blocks are equal."""
    on_event(Progress("comparing", 0, len(image)))
    how = fast_algorithm(found.board)
    wanted = digests(image, target.geometry.block, HASHES[how])
    there = scan(found.repl, target, len(image), how)
    on_event(Progress("comparing", len(image), len(image)))
    equal = [want == block.digest for want, block in zip(wanted, there, strict=True)]
    geometry, memory = target.geometry, memory_for(found.board.free)
    if not full and not all(equal) and memory and is_possible(geometry):
        old = find_old_image(found.repl, found.board, target, there, len(image))
        if old is not None:
            return make_copying_plan(old, bytes(image), wanted, there, geometry, memory), equal
    return make_plan(len(image), wanted, there, geometry, full=full), equal


def _full_plan(image: memoryview, geometry: Geometry) -> Plan:
    """Return the plan that writes everything, whatever the partition holds."""
    count = len(spans(len(image), geometry.block))
    return make_plan(len(image), [""] * count, [Block("", blank=False)] * count, geometry, full=True)


STATES: Final[dict[State, str]] = {
    "unchanged": "still holds what it did before",
    "erasing": "holds what it did before, or no image",
    "invalid": "holds no image now",
    "committing": "holds the new image, or none",
    "complete": "holds the new image",
    "unknown": "still shows a header, which the board may mount",
}


@contextmanager
def _reporting_state(writer: Writer, partition: int) -> Iterator[None]:
    """Add what the partition contains now to every error that ends the work early."""
    try:
        yield
    except KeyboardInterrupt:
        state = f"partition {partition} {STATES[writer.state]}"
        again = "" if writer.state in ("unchanged", "complete") else "; run the same command again to finish"
        raise FlashInterrupted(f"{state}{again}") from None
    except LinkError as error:
        error.hint = f"{error.hint or 'Run the same command again.'}\nPartition {partition} {STATES[writer.state]}."
        raise


def _complete(found: Session, partition: int) -> None:
    """Tell the port that writing is complete; most ports do not have this operation and answer -22."""
    answer = found.repl.run(f"try:print(io_(5,{partition}))\nexcept Exception as e:print(repr(e))").strip()
    number = int(answer) if answer.removeprefix("-").isdigit() and len(answer) < 10 else None  # noqa: PLR2004
    if answer != "None" and (number is None or (number < 0 and number != -EINVAL)):
        raise VerifyError(
            "every byte is in the partition, but the board could not complete writing it:"
            f" {answer if number is None else describe(number)}",
            hint="Run the same command again.",
        )


def _reset(found: Session, image: memoryview, on_event: Report) -> bool:
    """Reset the board and check that it mounts the image."""
    on_event(Progress("resetting", 0, 1, "steps"))
    found.restart()
    answer = found.repl.run_again("import os\ntry:print(os.statvfs('/rom')[2])\nexcept OSError:print(-1)").strip()
    on_event(Progress("resetting", 1, 1, "steps"))
    head = read_head(bytes(image[:HEAD]), len(image))
    if not (answer.isdigit() and len(answer) < 11 and head and mounted_size_matches(head, int(answer))):  # noqa: PLR2004
        raise VerifyError(
            "the image is in the partition, whole, but the board does not mount it at /rom",
            hint="Does this firmware mount ROM filesystems at another place, or none at all?",
        )
    return True


def erase(
    port: str | PortOptions | None = None,
    *,
    partition: int = 0,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
) -> Board:
    """Erase a partition, from its header on; raises VerifyError where it still holds something."""
    options = PortOptions.of(port)
    with session(options, trace) as found:
        target = checks.choose_partition(found.board, partition)
        checks.check_writable(found.board, target)
        found.quiesce()
        attach(found.repl, found.board, target)
        with channel_on(found.repl, found.board, "agent_write") as channel:
            hash_of = HASHES[algorithm(found.board)]
            writer = Writer(channel, memoryview(b""), target.geometry, hash_of, on_event, target.head)
            with _reporting_state(writer, target.number):
                writer.clear()
        return found.board
