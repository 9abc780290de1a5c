"""A simulated board that counts the bytes that are erased and hashed on it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hatch_romfs.sim.board import SimulatedBoard


class Counts(NamedTuple):
    """What a board has done: bytes up the wire, blocks erased, and the sizes of what it hashed with SHA-256."""

    sent: int
    erased: int
    hashed: tuple[int, ...]

    def since(self, before: Counts) -> Counts:
        """Return what was done after ``before``."""
        return Counts(self.sent - before.sent, self.erased - before.erased, self.hashed[len(before.hashed) :])


class CountingBoard(SimulatedBoard):
    """A simulated board that counts."""

    start_module = "counting_boot"
    folders = (*SimulatedBoard.folders, Path(__file__).parent / "micropython")

    @property
    def counts(self) -> Counts:
        """What it has done since it was started."""
        notes = Path(f"{self.file}.counts")
        rows = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
        sizes = {kind: tuple(int(size) for found, size in rows if found == kind) for kind in ("erase", "sha256")}
        return Counts(self.relay.up.sent, sum(sizes["erase"]) // self.options.block, sizes["sha256"])
