"""Carrying out a plan: every piece is read back on the board as it is written, and nothing is believed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.channel import RefusedError
from hatch_romfs.board.plan import ERASE_AT_ONCE
from hatch_romfs.errors import LinkError, VerifyError
from hatch_romfs.formats.micropython.records import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.plan import Geometry, Plan, Step

TRIES: Final = 4
"""How often a block is written: once, and three times again."""
LEAST_FRAME: Final = 256
"""Bytes of image in a frame that is never made smaller, whatever memory the board lacks."""
WORN: Final = "Run the same command again; where it is always this block, the flash is worn out, or protected."


class _BadBlockError(Exception):
    """A block at ``offset`` that does not keep what is written to it, or that cannot be erased."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Writer:
    """Writes an image into a partition through a channel.

    ``hashed`` gives the hash that the board should answer; ``on_progress`` is told how many bytes are written.
    ``rewritten`` counts how often a block had to be erased or written again.
    """

    def __init__(
        self,
        channel: Channel,
        image: memoryview,
        geometry: Geometry,
        hashed: Callable[[bytes | memoryview], str],
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self.channel, self.image, self.geometry = channel, image, geometry
        self.hashed, self.on_progress = hashed, on_progress
        self.rewritten = 0
        self._at = 0
        self._done = 0
        self._total = 0

    def carry_out(self, plan: Plan, again: Callable[[], Plan]) -> None:
        """Do all steps.

        ``again`` gives the plan for starting over where single blocks cannot be erased. Raises VerifyError when
        a block stays bad, after taking the header away; and LinkError.
        """
        for left in reversed(range(TRIES)):
            self._done, self._total = 0, plan.writes
            try:
                with self._naming_the_block():
                    self._steps(plan)
            except _BadBlockError as bad:
                if not left or self.geometry.erasing != "all":
                    message = f"{self._name(bad.offset)} {bad}; {self._take_header_away()}"
                    raise VerifyError(message, hint=WORN) from None
                self.rewritten += 1
                plan = again()
            else:
                return

    def clear(self) -> None:
        """Erase the whole partition, or overwrite it with 0xff; raises VerifyError where that does not hold."""
        size, block = self.geometry.size, self.geometry.block
        step = size if self.geometry.erasing == "all" else max(1, ERASE_AT_ONCE // block) * block
        for at in range(0, size, step):
            blank = b"\xff" * min(step, size - at)
            try:
                with self._naming_the_block():
                    self._empty(at, blank)
            except _BadBlockError as bad:
                raise VerifyError(f"{self._name(bad.offset)} {bad}") from None
            self.on_progress("erasing", at + len(blank), size)

    # Steps

    def _steps(self, plan: Plan) -> None:
        for step in plan.steps:
            if step.action == "invalidate":
                self._tries(0, partial(self._invalidate, step.length), TRIES)
            elif step.action == "erase":
                self._erase(step.offset, step.length)
            elif step.action in ("write", "commit"):
                self._write(step.offset, step.offset + step.length)
            else:
                self._verify(step)

    def _invalidate(self, length: int) -> None:
        """Make the header unreadable."""
        blank = b"\xff" * self.geometry.unit
        if self.geometry.erasing == "nothing":
            found = self.channel.write(0, blank, len(blank))
        else:
            self.channel.erase(0, length)
            found = self.channel.digest(0, len(blank))
        if found != self.hashed(blank):
            raise _BadBlockError(0, "it reads back as something else")

    def _erase(self, at: int, size: int) -> None:
        """Erase blocks at once; where that fails, one by one, to know which of them it is."""
        self._at = at
        try:
            self.channel.erase(at, size)
        except RefusedError as error:
            if self.geometry.erasing == "all":
                raise _BadBlockError(at, f"cannot be erased: {error}") from None
            for start in range(at, at + size, self.geometry.block):
                self._tries(start, partial(self.channel.erase, start, self.geometry.block), TRIES - 1)

    def _tries(self, at: int, erase: Callable[[], object], tries: int) -> None:
        """Erase, and again where the board refuses; once only where everything would have to be written again."""
        self._at = at
        for left in reversed(range(1 if self.geometry.erasing == "all" else tries)):
            try:
                erase()
            except (RefusedError, _BadBlockError) as error:  # noqa: PERF203 - a retry
                if not left:
                    raise _BadBlockError(at, f"cannot be erased: {error}") from None
                self.rewritten += 1
            else:
                return

    def _write(self, at: int, end: int) -> None:
        """Write the image's bytes from ``at`` to ``end``, and its blocks that come out wrong again."""
        while at < end:
            failed = self._put(at, end)
            if failed is None:
                return
            at = self._repair(*failed)

    def _put(self, at: int, end: int) -> tuple[int, int, str] | None:
        """Write frame by frame; return offset and size of the first that fails, and how it does."""
        while at < end:
            size = min(end - at, max(self.geometry.unit, self.channel.frame - self.channel.frame % self.geometry.unit))
            data = bytes(self.image[at : at + size]).ljust(self._padded(size), b"\xff")
            self._at = at
            try:
                found = self.channel.write(at, data, size)
            except RefusedError as error:
                if error.for_memory and self.channel.frame > LEAST_FRAME:
                    self.channel.frame //= 2
                    if self._is_untouched(at, len(data)):
                        continue
                return at, size, f"cannot be written: {error}"
            if found != self.hashed(data[:size]):
                return at, size, "does not keep what is written"
            at += size
            self._done += size
            self.on_progress("writing", min(self._done, self._total), self._total)
        return None

    def _repair(self, at: int, size: int, reason: str) -> int:
        """Write the blocks again that a frame has left wrong; return where to go on."""
        wrong = self._wrong(at, self.image[at : at + size])
        if wrong and self.geometry.erasing == "all":
            raise _BadBlockError(wrong[0], f"{reason}, {TRIES} times over")
        done, end = self._done + size, at + size
        for start in wrong:
            self._rewrite(start, reason, commit=at == 0)
            if at:
                end = max(end, min(start + self.geometry.block, len(self.image)))
        self._done = done + end - (at + size)
        return end

    def _rewrite(self, start: int, reason: str, *, commit: bool) -> None:
        """Write a block again, at most three times; the header's unit only to ``commit``, and last."""
        stop = min(start + self.geometry.block, len(self.image))
        head = min(self.geometry.unit, stop)
        parts = [(start or head, stop)] if not commit or self.geometry.erasing == "blocks" else []
        parts += [(0, head)] if commit else []
        for _ in range(TRIES - 1):
            self.rewritten += 1
            try:
                if self.geometry.erasing == "blocks":
                    self.channel.erase(start, self.geometry.block)
            except RefusedError as error:
                reason = f"cannot be erased: {error}"
                continue
            failed = next(filter(None, (self._put(*part) for part in parts)), None)
            if failed is None:
                return
            reason = failed[2]
        raise _BadBlockError(start, f"{reason}, {TRIES} times over")

    def _verify(self, step: Step) -> None:
        """Have the board hash a range once more, after everything in it was written."""
        part = self.image[step.offset : step.offset + step.length]
        self._at = step.offset
        self.on_progress("verifying", 0, step.length)
        try:
            good = self.channel.digest(step.offset, step.length) == self.hashed(part)
        except RefusedError as error:
            raise _BadBlockError(step.offset, f"cannot be read: {error}") from None
        if not good:
            wrong = self._wrong(step.offset, part) or [self._block(step.offset)]
            raise _BadBlockError(wrong[0], "has changed after it was written")
        self.on_progress("verifying", step.length, step.length)

    def _empty(self, at: int, blank: bytes) -> None:
        """Erase a range for good."""
        if self.geometry.erasing == "nothing":
            start = 0
            while start < len(blank):
                piece = blank[start : start + self.channel.frame]
                try:
                    self.channel.write(at + start, piece, len(piece))
                except RefusedError as error:
                    if error.for_memory and self.channel.frame > LEAST_FRAME:
                        self.channel.frame //= 2
                        continue
                    # Which of them it was shows below.
                start += len(piece)
        else:
            self._erase(at, len(blank))
        wrong = self._wrong(at, blank)
        if wrong:
            raise _BadBlockError(wrong[0], "still holds something")

    def _take_header_away(self) -> str:
        """See to it that nothing mounts, as well as a bad flash lets it be done; return what came of it."""
        unit = self.geometry.unit
        size = self.geometry.block if self.geometry.erasing == "blocks" else len(self.image)
        with suppress(RefusedError):
            if self.geometry.erasing == "nothing":
                self.channel.write(0, b"\xff" * unit, unit)
            else:
                self.channel.erase(0, size)
        with suppress(RefusedError):
            # Where erasing does not help, bits can still be cleared, and a header of zeros is none.
            if self._has_header():
                self.channel.write(0, bytes(unit), unit)
        with suppress(RefusedError):
            if not self._has_header():
                return "the partition holds no image now"
        return "the header that was there before cannot be taken away, and the board may mount it"

    # What is there

    def _has_header(self) -> bool:
        return self.channel.digest(0, len(MAGIC)) == self.hashed(MAGIC)

    def _is_untouched(self, at: int, size: int) -> bool:
        """Say whether a range can be written still: it is erased, or need not be."""
        if self.geometry.erasing == "nothing":
            return True
        try:
            return self.channel.digest(at, size) == self.hashed(b"\xff" * size)
        except RefusedError:
            return False

    def _wrong(self, at: int, wanted: bytes | memoryview) -> list[int]:
        """Return the offsets of the blocks in which the bytes from ``at`` on are not what is ``wanted``."""
        wrong = []
        end = at + len(wanted)
        for block in range(self._block(at), end, self.geometry.block):
            start, stop = max(block, at), min(block + self.geometry.block, end)
            try:
                found = self.channel.digest(start, stop - start)
            except RefusedError:
                found = ""
            if found != self.hashed(wanted[start - at : stop - at]):
                wrong.append(block)
        return wrong

    @contextmanager
    def _naming_the_block(self) -> Iterator[None]:
        """Have a lost link say where the work was."""
        try:
            yield
        except LinkError as error:
            at = self._name(self._block(self._at))
            raise LinkError(
                f"{error.message}, at work on {at}", hint=error.hint or "Run the same command again."
            ) from error

    def _name(self, offset: int) -> str:
        return f"block {offset // self.geometry.block} at {offset:#x}"

    def _block(self, offset: int) -> int:
        return offset - offset % self.geometry.block

    def _padded(self, size: int) -> int:
        return -(-size // self.geometry.unit) * self.geometry.unit
