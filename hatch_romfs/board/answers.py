"""What the agent on the board answers: ``=`` and a value, or ``!`` and a reason."""

from __future__ import annotations

from hatch_romfs.board.mperrno import describe
from hatch_romfs.errors import LinkError


class RefusedError(Exception):
    """The board reported an error: ``reason`` is a negative error number, or an exception."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the board answers {describe(int(reason)) if self.is_flash_error else reason}")

    @property
    def is_flash_error(self) -> bool:
        """Whether the port reported an error number, and not its MicroPython an exception."""
        return self.reason.lstrip("-").isdigit()

    @property
    def is_memory_error(self) -> bool:
        """Whether the frame was too large for the board's memory; some of it may have been written."""
        return "MemoryError" in self.reason


class LostFrameError(RefusedError):
    """A frame or its answer was lost or damaged on the line; the board may have carried it out or not."""

    def __init__(self) -> None:
        super().__init__("a damaged frame")


class DiffersError(RefusedError):
    """What the flash holds after a write is not what was written."""

    def __init__(self) -> None:
        super().__init__("differs")
        self.args = ("it does not keep what is written",)


def read_result(answer: str) -> str:
    """Return what follows ``=`` in an answer; raises RefusedError for ``!``, and LinkError for anything else."""
    good, bad, reason = answer.strip().partition("!")
    if bad and good[:1] in ("", "="):  # an error while hashing follows the =
        raise DiffersError if reason == "differs" else RefusedError(reason)
    if good.startswith("="):
        return good[1:]
    raise LinkError(f"the board answered {answer[:200]!r}", hint="Run the same command again.")
