"""Carrying out a plan: every piece is read back on the board as it is written, and nothing is believed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.channel import RefusedError
from hatch_romfs.board.plan import ERASE_AT_ONCE
from hatch_romfs.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.plan import Geometry, Plan, Step

TRIES: Final = 4
"""How often a block is written: once, and three times again."""
LEAST_FRAME: Final = 256


class _BadBlockError(Exception):
    """A block that does not keep what is written to it, or that cannot be erased."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Writer:
    """Writes an image into a partition through a channel.

    ``hashed`` gives the hash that the board should answer; ``on_progress`` is told how many bytes are written.
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
        self._done = 0
        self._total = 0

    def carry_out(self, plan: Plan, again: Callable[[], Plan]) -> None:
        """Do all steps.

        ``again`` gives the plan for starting over where single blocks cannot be erased. Raises VerifyError when
        a block stays bad, after taking the header away; and LinkError.
        """
        self._total = plan.writes
        for left in range(TRIES - 1, -1, -1):
            try:
                self._steps(plan)
            except _BadBlockError as bad:
                if left and self.geometry.erasing == "all":
                    self.rewritten += 1
                    plan = again()
                    self._done, self._total = 0, plan.writes
                    continue
                self._take_header_away()
                block = bad.offset // self.geometry.block
                raise VerifyError(
                    f"block {block} at {bad.offset:#x} {bad}, {TRIES} times over; the partition holds no image now",
                    hint="Run the same command again; if it is always this block, the flash is worn out or protected.",
                ) from None
            return

    def _steps(self, plan: Plan) -> None:
        for step in plan.steps:
            if step.action == "invalidate":
                self._retrying(step, self._invalidate)
            elif step.action == "erase":
                self._retrying(step, self._erase)
            elif step.action in ("write", "commit"):
                self._retrying(step, self._write)
            else:
                self._verify(step)

    def _retrying(self, step: Step, do: Callable[[Step], None]) -> None:
        """Do a step, and where it fails erase its blocks and do it again."""
        for left in range(TRIES - 1, -1, -1):
            try:
                do(step)
            except _BadBlockError:  # noqa: PERF203 - a retry
                if not left or self.geometry.erasing == "all":
                    raise
                self.rewritten += 1
                if self.geometry.erasing == "blocks" and step.action in ("write", "commit"):
                    self._prepare_again(step)
            else:
                return

    def _prepare_again(self, step: Step) -> None:
        """Erase the blocks of a step that failed; before the header's unit, the rest of its block is written again."""
        start, stop = self._blocks(step.offset, step.length)
        self._call(start, lambda: self.channel.erase(start, stop - start))
        if step.action == "commit":
            rest = min(self.geometry.block, len(self.image)) - step.length
            if rest:
                self._write_range(step.length, rest)

    def _invalidate(self, step: Step) -> None:
        """Make the header unreadable."""
        if self.geometry.erasing == "nothing":
            blank = b"\xff" * self._padded(step.length)
            found = self._call(0, lambda: self.channel.write(0, blank, len(blank)))
        else:
            self._call(0, lambda: self.channel.erase(0, step.length))
            blank = b"\xff" * min(self.geometry.unit, step.length)
            found = self._call(0, lambda: self.channel.digest(0, len(blank)))
        if found != self.hashed(blank):
            raise _BadBlockError(0, "cannot be erased")

    def _erase(self, step: Step) -> None:
        self._call(step.offset, lambda: self.channel.erase(step.offset, step.length))

    def _write(self, step: Step) -> None:
        done = self._done
        try:
            self._write_range(step.offset, step.length)
        except _BadBlockError:
            self._done = done
            raise

    def _write_range(self, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            size = min(self.channel.frame, end - offset)
            try:
                self._write_frame(offset, size)
            except RefusedError as error:
                if error.for_memory and self.channel.frame > LEAST_FRAME:
                    self.channel.frame //= 2
                    continue
                raise _BadBlockError(self._block(offset), f"cannot be written: {error}") from None
            offset += size
            self._done += size
            self.on_progress("writing", min(self._done, self._total), self._total)

    def _write_frame(self, offset: int, size: int) -> None:
        data = bytes(self.image[offset : offset + size])
        data += b"\xff" * (self._padded(size) - size)
        if self.channel.write(offset, data, size) != self.hashed(data[:size]):
            raise _BadBlockError(self._block(offset), "does not keep what is written")

    def _verify(self, step: Step) -> None:
        part = self.image[step.offset : step.offset + step.length]
        self.on_progress("verifying", 0, step.length)
        if self._call(step.offset, lambda: self.channel.digest(step.offset, step.length)) != self.hashed(part):
            self._take_header_away()
            raise VerifyError(
                f"what the board holds from {step.offset:#x} on is not the image; the partition holds no image now",
                hint="Run the same command again.",
            )
        self.on_progress("verifying", step.length, step.length)

    def _take_header_away(self) -> None:
        """See to it that nothing mounts; done as well as a bad flash lets it be done."""
        size = self.geometry.block if self.geometry.erasing == "blocks" else len(self.image)
        try:
            if self.geometry.erasing == "nothing":
                self.channel.write(0, b"\xff" * self._padded(self.geometry.unit), 1)
            else:
                self.channel.erase(0, size)
        except RefusedError:
            # Without erasing, bits can still be cleared, and a header of zeros is none.
            with contextlib.suppress(RefusedError):
                self.channel.write(0, bytes(self._padded(self.geometry.unit)), 1)

    def _call(self, offset: int, call: Callable[[], object]) -> object:
        try:
            return call()
        except RefusedError as error:
            raise _BadBlockError(self._block(offset), f"answers {error}") from None

    def _block(self, offset: int) -> int:
        return offset - offset % self.geometry.block

    def _blocks(self, offset: int, length: int) -> tuple[int, int]:
        return self._block(offset), self._block(offset + length - 1) + self.geometry.block

    def _padded(self, size: int) -> int:
        return -(-size // self.geometry.unit) * self.geometry.unit

    def clear(self) -> None:
        """Erase the whole partition, or overwrite it with 0xff; raises VerifyError where that does not hold."""
        size, step = self.geometry.size, max(self.geometry.block, ERASE_AT_ONCE)
        if self.geometry.erasing == "all":
            step = size
        for at in range(0, size, step):
            part = min(step, size - at)
            blank = b"\xff" * part
            try:
                if self.geometry.erasing == "nothing":
                    for start in range(at, at + part, self.channel.frame):
                        piece = min(self.channel.frame, at + part - start)
                        self.channel.write(start, blank[:piece], piece)
                else:
                    self.channel.erase(at, part)
                found = self.channel.digest(at, part)
            except RefusedError as error:
                raise VerifyError(f"block {at // self.geometry.block} at {at:#x} cannot be erased: {error}") from None
            if found != self.hashed(blank):
                raise VerifyError(f"the partition still holds something from {at:#x} on")
            self.on_progress("erasing", at + part, size)
