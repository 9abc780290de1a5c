"""Carry out a plan. Nothing that a board reports is believed until it has been read back."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.answers import RefusedError
from hatch_romfs.board.blocks import LEAST_FRAME, MAGIC_SIZE, TRIES, BadBlockError, BlockWriter
from hatch_romfs.board.plan import ERASE_AT_ONCE
from hatch_romfs.errors import LinkError, VerifyError
from hatch_romfs.events import Progress
from hatch_romfs.formats.micropython.records import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.plan import Geometry, Plan, Step

WORN: Final = "Run the same command again. If it is always this block, the flash is worn out or protected."


class Writer(BlockWriter):
    """Carries out the steps of a plan; see BlockWriter for its arguments and attributes."""

    def carry_out(self, plan: Plan, plan_again: Callable[[Geometry], Plan]) -> None:
        """Carry out all steps.

        ``plan_again`` returns the plan for starting over where single blocks cannot be erased. Raises VerifyError when
        a block stays bad, after making the header invalid; and LinkError.
        """
        for left in reversed(range(TRIES)):
            self._done, self._total = 0, plan.writes
            self._copies = plan.copies
            self._prepared = False
            self.on_progress(Progress("writing", 0, plan.writes))  # the first erase can take many seconds
            try:
                with self._locating_errors():
                    for step in plan.steps:
                        self._carry_out(step)
            except BadBlockError as bad:
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
                    self.on_progress(Progress("erasing", at + len(blank), size))
            except BadBlockError as bad:
                raise VerifyError(f"{self._name(bad.offset)} {bad}", hint=WORN) from None

    # Steps

    def _carry_out(self, step: Step) -> None:
        match step.action:
            case "save" | "forget" if self._copies:
                self._change_memory(step)
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

    def _change_memory(self, step: Step) -> None:
        """Save old content before it is erased, or forget it; if the board has no memory for it, send everything."""
        try:
            (self.channel.save if step.action == "save" else self.channel.forget)(step.offset, step.length)
        except RefusedError:
            self._send_the_rest()

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
            raise BadBlockError(0, "it reads back as something else")

    def _erase(self, at: int, size: int) -> None:
        """Erase blocks at once; where that fails, one by one, to learn which of them it is."""
        self._at = at
        try:
            self.channel.erase(at, size)
        except RefusedError as error:
            if self.geometry.erasing == "all":
                raise BadBlockError(at, f"cannot be erased: {error}") from None
            for start in range(at, at + size, self.geometry.block):
                self._attempt(start, partial(self.channel.erase, start, self.geometry.block), TRIES - 1)

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

    def _verify(self, step: Step) -> None:
        """Have the board hash a range once more after everything in it was written, and repair what is wrong."""
        at, end = step.offset, step.offset + step.length
        if at and self.geometry.reprogramming == "none":
            at = max(at, self._head)  # whose unit may be larger than it seemed
        part = self.image[at:end]
        self._at = at
        for _ in range(TRIES):
            self.on_progress(Progress("verifying", 0, len(part)))
            try:
                good = self.channel.digest(at, len(part)) == self.hash_of(part)
            except RefusedError as error:
                raise BadBlockError(at, f"cannot be read: {error}") from None
            if good:
                self.on_progress(Progress("verifying", len(part), len(part)))
                return
            self._mend(at, part)
        raise BadBlockError(self._block(at), f"has changed after it was written, {TRIES} times over")

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
            raise BadBlockError(wrong[0], "still holds something")

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

    def _is_invalid(self) -> bool:
        """Return whether the magic is known to be erased, or cleared: another answer may be a damaged one."""
        found = self.channel.digest(0, MAGIC_SIZE)
        return found in (self.hash_of(b"\xff" * MAGIC_SIZE), self.hash_of(bytes(MAGIC_SIZE)))

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
