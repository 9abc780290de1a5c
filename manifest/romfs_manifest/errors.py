"""What is wrong with a manifest, a package, an index or a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Place(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    path: Path
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class ManifestError(Exception):
    """The one kind of error that this package raises on purpose.

    ``message`` says what is wrong, ``hint`` what to do about it; ``place`` is where, if in a manifest, and ``chain``
    the places of the calls that led there, the nearest first.
    """

    status = 1
    """The exit status of a command that it ends."""

    def __init__(
        self, message: str, *, hint: str | None = None, place: Place | None = None, chain: tuple[Place, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.place, self.chain = message, hint, place, chain

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        led = "".join(f"\n  from {place}" for place in self.chain)
        return f"{where}{self.message}{led}"


class UsageError(ManifestError):
    """A command that was called wrongly, or a project's settings that are wrong."""

    status = 2
