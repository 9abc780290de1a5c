"""Carry out a plan: many small changes in one frame, each checked on the board before a file gets its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.answers import DiffersError, LostFrameError, RefusedError
from hatch_romfs.board.blocks import LEAST_FRAME, TRIES
from hatch_romfs.board.filesystem.records import CHECK, Record, pack
from hatch_romfs.board.mperrno import NAMES, describe
from hatch_romfs.errors import BoardError, VerifyError
from hatch_romfs.events import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hatch_romfs.board.channel import Channel
    from hatch_romfs.board.filesystem.plan import Step
    from hatch_romfs.events import Report

LEAST_PART: Final = 64
"""Bytes of a file in one record that is never made smaller, however little fits into a frame."""
MOST: Final = 64
"""Changes in one frame at most: the board answers after all of them."""
SLOWEST_CHANGE: Final = 2.0
"""Seconds in which the slowest filesystem writes a small file, erasing blocks for it, and renames it."""
KINDS: Final = {"make": "m", "remove": "r", "remove folder": "d"}
VERBS: Final = {"m": "make the folder", "r": "remove", "d": "remove", "w": "write", "l": "write", "s": "write"}
ENOSPC: Final = 28
HINTS: Final = {
    ENOSPC: "The filesystem is full. Free some space on the board, or exclude files from the project.",
    30: "The filesystem is read-only. On some boards, it is the USB drive of a computer: eject it there.",
}
AGAIN: Final = "Each file on the board is the old or the new one. Run the same command again."


class FileWriter:
    """Carries out the steps of a plan.

    ``read`` returns the content of a file of the tree. ``rewritten`` counts changes that the board had to be asked for
    again.
    """

    def __init__(
        self, channel: Channel, read: Callable[[str], bytes], on_progress: Report, total: int, *, crc32: bool
    ) -> None:
        self.channel = channel
        self.rewritten = 0
        self._read, self._on_progress, self._crc32 = read, on_progress, crc32
        self._done, self._total = 0, total

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Carry out all steps in order.

        Raises BoardError where the filesystem refuses one, VerifyError where it does not keep what is written, and
        LinkError. Each file is the old or the new one then.
        """
        batch: list[Record] = []
        size = CHECK
        for record in self._records(steps):
            if batch and (size + record.size > self.channel.frame or len(batch) == MOST):
                self._send(batch)
                batch, size = [], CHECK
            batch.append(record)
            size += record.size
        if batch:
            self._send(batch)

    def _records(self, steps: Iterable[Step]) -> Iterator[Record]:
        """Yield the steps as records; a file that is too large for a frame becomes several."""
        for step in steps:
            if step.action in KINDS:
                yield Record(KINDS[step.action], step.path)
                continue
            kinds = "wl" if step.action == "write" else "ss"
            data = self._read(step.path) if step.data is None else step.data
            at = 0
            while True:
                part = max(LEAST_PART, self.channel.frame - CHECK - Record("w", step.path).size)
                is_last = at + part >= len(data)
                yield Record(kinds[is_last], step.path, at, data[at : at + part])
                if is_last:
                    break
                at += part

    def _send(self, records: list[Record]) -> None:
        """Have records carried out, in smaller frames and again where that fails."""
        error = self._try(records)
        if error is None:
            return
        if error.is_memory_error and self.channel.frame > LEAST_FRAME:
            self.channel.frame //= 2
        is_outsized = isinstance(error, LostFrameError) and records[0].size > self.channel.frame
        parts = _split(records, part_of_a_file=error.is_memory_error or is_outsized)
        if len(parts) == 1:
            self._send_again(records[0], error)
            return
        for part in parts:
            self._send(part)

    def _send_again(self, record: Record, error: RefusedError) -> None:
        """Try one record a few more times."""
        for _ in range(TRIES - 1):
            another = self._try([record])
            if another is None:
                return
            error = another
        raise _failure(record, error)

    def _try(self, records: list[Record]) -> RefusedError | None:
        """Have records carried out; return the error where that fails."""
        data = pack(records, crc32=self._crc32)
        try:
            self.channel.write(0, data, seconds=SLOWEST_CHANGE * len(records))
        except RefusedError as error:
            self.rewritten += 1
            return error
        self._done += sum(len(record.data) for record in records)
        self._on_progress(Progress("writing", min(self._done, self._total), self._total))
        return None


def _split(records: list[Record], *, part_of_a_file: bool) -> list[list[Record]]:
    """Return records in two halves; a single one only if it is ``part_of_a_file`` that can be smaller."""
    if len(records) > 1:
        half = len(records) // 2
        return [records[:half], records[half:]]
    (record,) = records
    half = len(record.data) // 2
    if not part_of_a_file or half < LEAST_PART:
        return [records]
    second = record._replace(offset=record.offset + half, data=record.data[half:])
    kind = "s" if record.kind == "s" else "w"
    return [[record._replace(kind=kind, data=record.data[:half])], [second]]


def _failure(record: Record, error: RefusedError) -> BoardError | VerifyError:
    """Return the error for a change that the board does not carry out."""
    if isinstance(error, DiffersError):
        message = f"the board's filesystem does not keep what is written to {record.path}"
        return VerifyError(message, hint=f"{AGAIN} If it is always this file, check the filesystem.")
    match = re.fullmatch(r"OSError\((-?[0-9]{1,5})(,.*)?\)", error.reason)
    number = abs(int(match[1])) if match else 0
    reason = describe(number) if number in NAMES else str(error)
    hint = f"{HINTS[number]} {AGAIN}" if number in HINTS else AGAIN
    return BoardError(f"cannot {VERBS[record.kind]} {record.path} on the board: {reason}", hint=hint)
