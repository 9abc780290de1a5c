"""Errors of this package: what is wrong with a manifest, a package, an index, or a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.shared.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
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

    ``message`` says what is wrong and ``hint`` what to do about it. For an error in a manifest, ``place`` says where
    it is, and ``chain`` names the calls that led there, the nearest first. ``message`` can be several lines, given as
    a sequence. The text can be printed: everything unprintable in it is escaped.
    """

    status = 1
    """Exit status of a command that ends with this error."""

    def __init__(
        self,
        message: str | Sequence[str],
        *,
        hint: str | None = None,
        place: Place | None = None,
        chain: tuple[Place, ...] = (),
    ) -> None:
        self.message = "\n".join(map(one_line, (message,) if isinstance(message, str) else message))
        self.hint = hint and one_line(hint)
        self.place, self.chain = place, chain
        super().__init__(self.message)

    def __str__(self) -> str:
        where = f"{one_line(str(self.place))}: " if self.place else ""
        led = "".join(f"\n  from {one_line(str(place))}" for place in self.chain)
        return f"{where}{self.message}{led}"


class MissingFileError(ManifestError):
    """A file, folder, or package that a manifest names does not exist; ``try`` in a manifest can skip it.

    ``is_os_error`` says whether MicroPython's own tool would raise an OSError, which decides between handlers.
    """

    is_os_error = False


class LimitError(ManifestError):
    """A manifest needs more steps or memory than an evaluation may use; nothing after it is evaluated."""


class ManifestErrors(ManifestError):  # noqa: N818 - several of them
    """Several errors of one evaluation; ``problems`` are the errors in the order in which they were found."""

    def __init__(self, problems: Sequence[ManifestError]) -> None:
        lines: list[str] = []
        for problem in problems:
            lines += [*str(problem).split("\n"), *([f"  {problem.hint}"] if problem.hint else [])]
        super().__init__(lines, hint=f"Fix these {len(problems)} problems.")
        self.problems = tuple(problems)


class UsageError(ManifestError):
    """A command line or the settings of a project are wrong."""

    status = 2
