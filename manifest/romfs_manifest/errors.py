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


def one_line(text: str) -> str:
    """Return ``text`` as one line, with everything escaped that could move a cursor, change a color or hide text."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class ManifestError(Exception):
    """The one kind of error that this package raises on purpose.

    ``message`` says what is wrong, ``hint`` what to do about it; ``place`` is where, if in a manifest, and ``chain``
    the places of the calls that led there, the nearest first. Its text can be printed: names in it are escaped.
    """

    status = 1
    """The exit status of a command that it ends."""

    def __init__(
        self, message: str, *, hint: str | None = None, place: Place | None = None, chain: tuple[Place, ...] = ()
    ) -> None:
        self.message, self.hint = one_line(message), hint and one_line(hint)
        self.place, self.chain = place, chain
        super().__init__(self.message)

    def __str__(self) -> str:
        where = f"{one_line(str(self.place))}: " if self.place else ""
        led = "".join(f"\n  from {one_line(str(place))}" for place in self.chain)
        return f"{where}{self.message}{led}"


class UsageError(ManifestError):
    """A command that was called wrongly, or a project's settings that are wrong."""

    status = 2
