"""Carry out a plan. Nothing that a board reports is believed until it has been read back."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from hatch_romfs.board.channel import DiffersError, LostFrameError, RefusedError
from hatch_romfs.board.plan import ERASE_AT_ONCE
from hatch_romfs.errors import LinkError, VerifyError
from hatch_romfs.formats.micropython.records import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.plan import Geometry, Plan, Step

TRIES: Final = 4
"""How often a block is written: once, and three more times."""
LEAST_FRAME: Final = 256
"""Bytes of the image in a frame that is never made smaller, whatever memory the board lacks."""
LARGEST_UNIT: Final = 4096
"""Bytes of the largest unit of writing that is tried where a board refuses an address."""
WORN: Final = "Run the same command again. If it is always this block, the flash is worn out or protected."
MAGIC_SIZE: Final = len(MAGIC)

State = Literal["unchanged", "erasing", "invalid", "committing", "complete", "unknown"]
"""What the partition holds.

``unchanged``: what it did before. ``erasing``: that or no image. ``invalid``: no image. ``committing``: no image or the
new one. ``complete``: the new image. ``unknown``: flash that cannot be changed still shows a header.
"""


class _BadBlockError(Exception):
    """A block at ``offset`` that does not keep what is written to it, or that cannot be erased."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Writer:
    """Writes an image into a partition through a channel.

    ``hash_of`` computes the hash that the board should answer; ``first_unit`` is what the partition's first unit held
    before; ``on_progress`` receives how many bytes are written. ``rewritten`` counts how often a block had to be erased
    or written again; ``state`` is what the partition holds now.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that one flash needs
        self,
        channel: Channel,
        image: memoryview,
        geometry: Geometry,
        hash_of: Callable[[bytes | memoryview], str],
        on_progress: Callable[[str, int, int], None],
        first_unit: bytes = b"",
    ) -> None:
        self.channel, self.image, self.geometry = channel, image, geometry
        self.hash_of, self.on_progress = hash_of, on_progress
        self.rewritten = 0
        self.state: State = "unchanged"
        self._first_unit = first_unit
        self._prepared = False
        self._at = 0
        self._done = 0
        self._total = 0

    def carry_out(self, plan: Plan, plan_again: Callable[[Geometry], Plan]) -> None:
        """Carry out all steps.

        ``plan_again`` returns the plan for starting over where single blocks cannot be erased. Raises VerifyError when
        a block stays bad, after making the header invalid; and LinkError.
        """
        for left in reversed(range(TRIES)):
            self._done, self._total = 0, plan.writes
            self._prepared = False
            try:
                with self._locating_errors():
                    for step in plan.steps:
                        self._carry_out(step)
            except _BadBlockError as bad:
                if not left or self.geometry.erasing != "all":
                    message = f"{self._name(bad.offset)} {bad}; {self._remove_header()}"
                    raise VerifyError(message, hint=WORN) from None
                self.rewritten += 1
                self.geometry = replace(self.geometry, reprogramming="none")
                plan = plan_again(self.geometry)
            else:
                self.state = "complete"
                return

    def clear(self) -> None:
        """Erase the whole partition, or overwrite it with 0xff; raises VerifyError if anything is left."""
        size, block = self.geometry.size, self.geometry.block
        step = max(1, ERASE_AT_ONCE // block) * block
        with self._locating_errors():
            if self.geometry.reprogramming in ("any", "clear"):
                self._clear_header()
            self.state = "invalid"
            try:
                if self.geometry.erasing == "all":
                    self._erase(0, size)
                for at in range(0, size, step):
                    blank = b"\xff" * min(step, size - at)
                    self._empty(at, blank)
                    self.on_progress("erasing", at + len(blank), size)
            except _BadBlockError as bad:
                raise VerifyError(f"{self._name(bad.offset)} {bad}", hint=WORN) from None

    # Steps

    def _carry_out(self, step: Step) -> None:
        match step.action:
            case "clear":
                self._clear_header()
            case "invalidate":
                self._attempt(0, partial(self._erase_header, step.length), TRIES)
                self.state = "invalid"
            case "erase":
                self._erase(step.offset, step.length)
            case "write":
                self._write(step.offset, step.offset + step.length)
            case "prepare":
                self._prepare()
            case "commit":
                self.state = "committing"
                self._commit()
            case "verify":
                self._verify(step)

    def _clear_header(self) -> None:
        """Make the header invalid without an erase: whatever part of this a power cut leaves, it is no other header.

        Only the magic changes. Plain NOR flash clears bits; MRAM is overwritten with what it holds otherwise.
        """
        unit = self.geometry.unit
        self._at = 0
        # What an earlier cut has left half cleared is cleared too: an erase that is cut short could set its bits again.
        if self._first_unit[:MAGIC_SIZE] in (b"", b"\xff" * MAGIC_SIZE, bytes(MAGIC_SIZE)):
            return
        self.state = "erasing"
        if self.geometry.reprogramming == "any":
            data = (bytes(MAGIC_SIZE) + self._first_unit[MAGIC_SIZE:unit]).ljust(unit, b"\xff")
            self._attempt(0, partial(self.channel.write, 0, data), TRIES)
        else:
            with suppress(RefusedError):  # the erase that follows makes it invalid too
                self.channel.write(0, bytes(MAGIC_SIZE).ljust(unit, b"\xff"), check=False)

    def _erase_header(self, length: int) -> None:
        blank = b"\xff" * self.geometry.unit
        self.state = "erasing"
        self.channel.erase(0, length)
        if self.channel.digest(0, len(blank)) != self.hash_of(blank):
            raise _BadBlockError(0, "it reads back as something else")

    def _erase(self, at: int, size: int) -> None:
        """Erase blocks at once; where that fails, one by one, to learn which of them it is."""
        self._at = at
        try:
            self.channel.erase(at, size)
        except RefusedError as error:
            if self.geometry.erasing == "all":
                raise _BadBlockError(at, f"cannot be erased: {error}") from None
            for start in range(at, at + size, self.geometry.block):
                self._attempt(start, partial(self.channel.erase, start, self.geometry.block), TRIES - 1)

    def _attempt(self, at: int, act: Callable[[], object], tries: int) -> None:
        """Erase, and again where the board refuses; only once where everything would have to be written again."""
        self._at = at
        for left in reversed(range(1 if self.geometry.erasing == "all" else tries)):
            try:
                act()
            except (RefusedError, _BadBlockError) as error:  # noqa: PERF203 - a retry
                if not left:
                    raise _BadBlockError(at, f"cannot be erased: {error}") from None
                self.rewritten += 1
            else:
                return

    def _prepare(self) -> None:
        """Write the header's unit without its magic."""
        self._prepared = True
        self._write(0, self._head, b"\xff" * MAGIC_SIZE)

    def _commit(self) -> None:
        """Write what makes the image valid: the magic alone where the rest of its unit is there, else the unit."""
        prepared, self._prepared = self._prepared, False
        if not prepared or self.geometry.reprogramming == "any":
            self._write(0, self._head)
            return
        self._at = 0
        with suppress(RefusedError):  # what came of it is verified next
            self.channel.write(0, MAGIC.ljust(self.geometry.unit, b"\xff"), check=False)
        self._count(self._head)

    def _write(self, at: int, end: int, start: bytes = b"") -> None:
        """Write the image's bytes from ``at`` to ``end``, and again the blocks that come out wrong.

        ``start`` replaces the first bytes of the image.
        """
        while at < end:
            failure = self._put(at, end, start)
            if failure is None:
                return
            at = self._repair(*failure)

    def _put(self, at: int, end: int, start: bytes = b"") -> tuple[int, int, str] | None:
        """Write frame by frame; return offset, size and reason of the first that fails."""
        while at < end:
            size = min(end - at, max(self.geometry.unit, self.channel.frame - self.channel.frame % self.geometry.unit))
            data = bytes(self.image[at : at + size]).ljust(self._padded(size), b"\xff")
            data = start + data[len(start) :]  # only the header's unit has another start, and is one frame
            self._at = at
            try:
                self.channel.write(at, data)
            except DiffersError:
                return at, size, "does not keep what is written"
            except RefusedError as error:
                if error.is_memory_error and self.channel.frame > LEAST_FRAME:
                    self.channel.frame //= 2
                    if self._is_untouched(at, len(data)):
                        continue
                elif isinstance(error, LostFrameError):
                    if self._is_untouched(at, len(data)):
                        continue
                elif (aligned := self._enlarge_unit(at, end)) is not None:
                    at = aligned
                    continue
                return at, size, f"cannot be written: {error}"
            at += size
            self._count(size)
        return None

    def _enlarge_unit(self, at: int, end: int) -> int | None:
        """Find out whether the board refused an address that is no multiple of its real unit of writing.

        Some firmware states a smaller unit than its flash has. The bytes after the header's unit are the first whose
        address shows that; where a larger unit works, its bytes go with the header. Return where to go on.
        """
        unit = 2 * self.geometry.unit
        if at != self.geometry.unit or self.geometry.erasing == "nothing":
            return None
        while unit <= min(LARGEST_UNIT, self.geometry.block) and unit < end:
            data = bytes(self.image[unit : min(end, 2 * unit)]).ljust(unit, b"\xff")
            try:
                self.channel.write(unit, data)
            except RefusedError:
                unit *= 2
                continue
            self.geometry = replace(self.geometry, unit=unit)
            self._count(min(end, 2 * unit) - at)
            return min(end, 2 * unit)
        return None

    def _count(self, size: int) -> None:
        """Report progress; what is written between the last part and the commit, which counts, is no progress."""
        if self._prepared:
            return
        self._done += size
        self.on_progress("writing", min(self._done, self._total), self._total)

    def _repair(self, at: int, size: int, reason: str) -> int:
        """Write the blocks again that a frame has left wrong; return where to go on."""
        wanted = bytes(self.image[at : at + size])
        if self._prepared and at == 0:
            wanted = b"\xff" * MAGIC_SIZE + wanted[MAGIC_SIZE:]
        wrong = self._find_wrong(at, wanted)
        if wrong and self.geometry.erasing == "all":
            raise _BadBlockError(wrong[0], f"{reason}, {TRIES} times over")
        done, end = self._done + size, at + size
        for start in wrong:
            self._rewrite(start, reason)
            if at:
                end = max(end, min(start + self.geometry.block, len(self.image)))
        self._done = done + end - (at + size)
        return end

    def _rewrite(self, start: int, reason: str) -> None:
        """Write a block again, at most three times."""
        for _ in range(TRIES - 1):
            self.rewritten += 1
            try:
                if self.geometry.erasing == "blocks":
                    self.channel.erase(start, self.geometry.block)
            except RefusedError as error:
                reason = f"cannot be erased: {error}"
                continue
            failure = self._put_block(start)
            if failure is None:
                return
            reason = failure[2]
        raise _BadBlockError(start, f"{reason}, {TRIES} times over")

    def _put_block(self, start: int) -> tuple[int, int, str] | None:
        """Write a block; the header's unit last, and only once its turn has come."""
        failure = self._put(start or self._head, min(start + self.geometry.block, len(self.image)))
        if failure or start:
            return failure
        if self._prepared:
            return self._put(0, self._head, b"\xff" * MAGIC_SIZE)
        return self._put(0, self._head) if self.state == "committing" else None

    def _verify(self, step: Step) -> None:
        """Have the board hash a range once more after everything in it was written, and repair what is wrong."""
        at, end = step.offset, step.offset + step.length
        if at and self.geometry.reprogramming == "none":
            at = max(at, self._head)  # whose unit may be larger than it seemed
        part = self.image[at:end]
        self._at = at
        for _ in range(TRIES):
            self.on_progress("verifying", 0, len(part))
            try:
                good = self.channel.digest(at, len(part)) == self.hash_of(part)
            except RefusedError as error:
                raise _BadBlockError(at, f"cannot be read: {error}") from None
            if good:
                self.on_progress("verifying", len(part), len(part))
                return
            self._mend(at, part)
        raise _BadBlockError(self._block(at), f"has changed after it was written, {TRIES} times over")

    def _mend(self, at: int, part: memoryview) -> None:
        """Write again what changed after it was written."""
        wrong = self._find_wrong(at, part)
        if wrong and self.geometry.erasing == "all":
            raise _BadBlockError(wrong[0], "has changed after it was written")
        for start in wrong:
            self._rewrite(start, "has changed after it was written")

    def _empty(self, at: int, blank: bytes) -> None:
        """Erase a range for good, where it was not erased with everything else, and check that it is."""
        if self.geometry.erasing == "nothing":
            start = 0
            while start < len(blank):
                piece = blank[start : start + self.channel.frame]
                try:
                    self.channel.write(at + start, piece)
                except RefusedError as error:
                    if error.is_memory_error and self.channel.frame > LEAST_FRAME:
                        self.channel.frame //= 2
                        continue
                    # What it did shows below.
                start += len(piece)
        elif self.geometry.erasing == "blocks":
            self._erase(at, len(blank))
        wrong = self._find_wrong(at, blank)
        if wrong:
            raise _BadBlockError(wrong[0], "still holds something")

    def _remove_header(self) -> str:
        """Make sure that nothing mounts, as far as bad flash allows; return what came of it."""
        unit = self.geometry.unit
        size = self.geometry.block if self.geometry.erasing == "blocks" else len(self.image)
        with suppress(RefusedError):
            if self.geometry.erasing == "nothing":
                self.channel.write(0, b"\xff" * unit)
            else:
                self.channel.erase(0, size)
        with suppress(RefusedError):
            # Where erasing does not help, bits can still be cleared, and a magic of zeros is none.
            if not self._is_invalid():
                self.channel.write(0, bytes(unit))
        with suppress(RefusedError):
            if self._is_invalid():
                self.state = "invalid"
                return "the partition holds no image now"
        self.state = "unknown"
        return "the header that was there before cannot be removed, and the board may mount it"

    # What is there

    @property
    def _head(self) -> int:
        """Bytes of the image in the header's unit."""
        return min(self.geometry.unit, len(self.image))

    def _is_invalid(self) -> bool:
        """Return whether the magic is known to be erased, or cleared: another answer may be a damaged one."""
        found = self.channel.digest(0, MAGIC_SIZE)
        return found in (self.hash_of(b"\xff" * MAGIC_SIZE), self.hash_of(bytes(MAGIC_SIZE)))

    def _is_untouched(self, at: int, size: int) -> bool:
        """Return whether a range can still be written: it is erased, or need not be."""
        if self.geometry.erasing == "nothing":
            return True
        try:
            return self.channel.digest(at, size) == self.hash_of(b"\xff" * size)
        except RefusedError:
            return False

    def _find_wrong(self, at: int, wanted: bytes | memoryview) -> list[int]:
        """Return the offsets of the blocks in which the bytes from ``at`` on are not ``wanted``."""
        wrong = []
        end = at + len(wanted)
        for block in range(self._block(at), end, self.geometry.block):
            start, stop = max(block, at), min(block + self.geometry.block, end)
            try:
                found = self.channel.digest(start, stop - start)
            except RefusedError:
                found = ""
            if found != self.hash_of(wanted[start - at : stop - at]):
                wrong.append(block)
        return wrong

    @contextmanager
    def _locating_errors(self) -> Iterator[None]:
        """Make a lost link say where the work was."""
        try:
            yield
        except LinkError as error:
            at = self._name(self._block(self._at))
            raise type(error)(
                f"{error.message}, while working on {at}", hint=error.hint or "Run the same command again."
            ) from error

    def _name(self, offset: int) -> str:
        return f"block {offset // self.geometry.block} at {offset:#x}"

    def _block(self, offset: int) -> int:
        return offset - offset % self.geometry.block

    def _padded(self, size: int) -> int:
        return -(-size // self.geometry.unit) * self.geometry.unit
