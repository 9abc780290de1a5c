"""Write blocks of a partition. Nothing that a board reports is believed until it has been read back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from hatch_romfs.board.answers import DiffersError, LostFrameError, RefusedError
from hatch_romfs.board.copies import recipe
from hatch_romfs.events import Progress
from hatch_romfs.formats.micropython.records import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.copies import Copy, Recipe
    from hatch_romfs.board.plan import Geometry
    from hatch_romfs.events import Report

TRIES: Final = 4
"""How often a block is written: once, and three more times."""
LEAST_FRAME: Final = 256
"""Bytes of the image in a frame that is never made smaller, whatever memory the board lacks."""
LARGEST_UNIT: Final = 4096
"""Bytes of the largest unit of writing that is tried where a board refuses an address."""
MAGIC_SIZE: Final = len(MAGIC)

State = Literal["unchanged", "erasing", "invalid", "committing", "complete", "unknown"]
"""What the partition holds.

``unchanged``: what it did before. ``erasing``: that or no image. ``invalid``: no image. ``committing``: no image or the
new one. ``complete``: the new image. ``unknown``: flash that cannot be changed still shows a header.
"""


class BadBlockError(Exception):
    """A block at ``offset`` that does not keep what is written to it, or that cannot be erased."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class BlockWriter:
    """Writes an image into a partition through a channel.

    ``hash_of`` computes the hash that the board should answer; ``first_unit`` is what the partition's first unit held
    before; ``on_progress`` receives how many bytes are written. ``rewritten`` counts how often a block had to be erased
    or written again, ``copied`` how many bytes the board had already; ``state`` is what the partition holds now.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that one flash needs
        self,
        channel: Channel,
        image: memoryview,
        geometry: Geometry,
        hash_of: Callable[[bytes | memoryview], str],
        on_progress: Report,
        first_unit: bytes = b"",
    ) -> None:
        self.channel, self.image, self.geometry = channel, image, geometry
        self.hash_of, self.on_progress = hash_of, on_progress
        self.rewritten = self.copied = 0
        self.state: State = "unchanged"
        self._first_unit = first_unit
        self._copies: Sequence[Copy] = ()
        self._prepared = False
        self._at = 0
        self._done = 0
        self._total = 0

    @property
    def _head(self) -> int:
        """Bytes of the image in the header's unit."""
        return min(self.geometry.unit, len(self.image))

    def _write(self, at: int, end: int, start: bytes = b"") -> None:
        """Write the image's bytes from ``at`` to ``end``, and again the blocks that come out wrong.

        ``start`` replaces the first bytes of the image.
        """
        while at < end:
            failure = self._put(at, end, start)
            if failure is None:
                return
            at = self._repair(*failure)

    def _put(self, at: int, end: int, start: bytes = b"", *, copy: bool = True) -> tuple[int, int, str] | None:
        """Write frame by frame, and copy what can be copied; return offset, size and reason of the first that fails."""
        while at < end:
            size = min(end - at, max(self.geometry.unit, self.channel.frame - self.channel.frame % self.geometry.unit))
            data = bytes(self.image[at : at + size]).ljust(self._padded(size), b"\xff")
            data = start + data[len(start) :]  # only the header's unit has another start, and is one frame
            self._at = at
            how = recipe(self._copies, at, data) if copy and not start else None
            try:
                self._send(at, data, how)
            except DiffersError:
                return at, size, "does not keep what is written"
            except RefusedError as error:
                if self._can_adapt(error, copied=how is not None):
                    if self._is_untouched(at, len(data)):
                        continue
                elif (aligned := self._enlarge_unit(at, end)) is not None:
                    at = aligned
                    continue
                return at, size, f"cannot be written: {error}"
            at += size
            self._count(size)
        return None

    def _send(self, at: int, data: bytes, how: Recipe | None) -> None:
        """Write one frame; with a recipe, have the board put it together."""
        if how is None:
            self.channel.write(at, data)
        else:
            self.channel.assemble(at, len(data), how.data)
            self.copied += how.copied

    def _can_adapt(self, error: RefusedError, *, copied: bool) -> bool:
        """Ask less of the board or the line in the next attempt; return whether there should be one."""
        if isinstance(error, LostFrameError):
            return True
        if copied and not error.is_flash_error:
            self._send_the_rest()
            return True
        if error.is_memory_error and self.channel.frame > LEAST_FRAME:
            self.channel.frame //= 2
            return True
        return False

    def _send_the_rest(self) -> None:
        """Copy nothing any more: the board cannot, or what it has is not what it should be."""
        if self._copies:
            self._copies = ()
            with suppress(RefusedError):
                self.channel.forget(0, self.geometry.size)

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
        self.on_progress(Progress("writing", min(self._done, self._total), self._total))

    def _repair(self, at: int, size: int, reason: str) -> int:
        """Write the blocks again that a frame has left wrong; return where to go on."""
        wanted = bytes(self.image[at : at + size])
        if self._prepared and at == 0:
            wanted = b"\xff" * MAGIC_SIZE + wanted[MAGIC_SIZE:]
        wrong = self._find_wrong(at, wanted)
        if wrong and self.geometry.erasing == "all":
            raise BadBlockError(wrong[0], f"{reason}, {TRIES} times over")
        done, end = self._done + size, at + size
        for start in wrong:
            self._rewrite(start, reason)
            if at:
                end = max(end, min(start + self.geometry.block, len(self.image)))
        self._done = done + end - (at + size)
        return end

    def _rewrite(self, start: int, reason: str) -> None:
        """Write a block again, at most three times; old content may be gone, so everything in it is sent."""
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
        raise BadBlockError(start, f"{reason}, {TRIES} times over")

    def _put_block(self, start: int) -> tuple[int, int, str] | None:
        """Write a block; the header's unit last, and only once its turn has come."""
        failure = self._put(start or self._head, min(start + self.geometry.block, len(self.image)), copy=False)
        if failure or start:
            return failure
        if self._prepared:
            return self._put(0, self._head, b"\xff" * MAGIC_SIZE)
        return self._put(0, self._head, copy=False) if self.state == "committing" else None

    def _mend(self, at: int, part: memoryview) -> None:
        """Write again what changed after it was written."""
        wrong = self._find_wrong(at, part)
        if wrong and self.geometry.erasing == "all":
            raise BadBlockError(wrong[0], "has changed after it was written")
        for start in wrong:
            self._rewrite(start, "has changed after it was written")

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

    def _attempt(self, at: int, act: Callable[[], object], tries: int) -> None:
        """Erase, and again where the board refuses; only once where everything would have to be written again."""
        self._at = at
        for left in reversed(range(1 if self.geometry.erasing == "all" else tries)):
            try:
                act()
            except (RefusedError, BadBlockError) as error:  # noqa: PERF203 - a retry
                if not left:
                    raise BadBlockError(at, f"cannot be erased: {error}") from None
                self.rewritten += 1
            else:
                return

    def _name(self, offset: int) -> str:
        return f"block {offset // self.geometry.block} at {offset:#x}"

    def _block(self, offset: int) -> int:
        return offset - offset % self.geometry.block

    def _padded(self, size: int) -> int:
        return -(-size // self.geometry.unit) * self.geometry.unit
