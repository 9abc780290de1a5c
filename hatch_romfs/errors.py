"""Errors: one class for each kind of failure, and one exit status for each class.

Libraries raise only these on purpose. Only ``cli`` and ``plugins`` turn them into a message and an exit status.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence


Text: TypeAlias = "str | Sequence[str]"
"""A line of text, or several."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as in a shell."""


def one_line(text: str) -> str:
    """Return ``text`` as one line, with everything escaped that could move a cursor, change a color or hide text."""
    if text.isprintable():  # which nearly all of them are: a start need not wait for the import
        return text
    from romfs_manifest.shared.text import one_line as escape  # noqa: PLC0415

    return escape(text)


def _lines(text: Text) -> str:
    return "\n".join(map(one_line, (text,) if isinstance(text, str) else text))


class RomfsError(Exception):
    """An error that the user can do something about.

    ``message`` says what is wrong and where, and ``hint`` what to do. Both can be several lines, given as a sequence.
    They can be printed as they are: everything unprintable is escaped, also a newline within a line.
    """

    status: ClassVar[int] = 1

    def __init__(self, message: Text, *, hint: Text | None = None) -> None:
        self.message = _lines(message)
        self.hint = None if hint is None else _lines(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class BuildError(RomfsError):
    """The build failed, or content that should go into the image cannot."""


class Problem:
    """One mistake in the settings: where it is, and what is wrong. ``key`` is the full path of a key, or an option."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        self.text = text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key!r}, {self.text!r})"

    def __str__(self) -> str:
        return one_line(f"{self.key}: {self.text}")


class SettingsError(RomfsError):
    """The command line or the settings are wrong; ``problems`` lists every mistake."""

    status = 2

    def __init__(self, problems: Sequence[Problem] | Text, *, hint: Text | None = None) -> None:
        problems = (problems,) if isinstance(problems, str) else problems
        self.problems = tuple(problem for problem in problems if isinstance(problem, Problem))
        super().__init__(list(map(str, problems)), hint=hint)


def unreadable(path: str | os.PathLike[str], error: OSError, expected: str) -> SettingsError:
    """Return the error of a file that cannot be read; ``expected`` is what to name if ``path`` is a folder."""
    hint = f"{path} is a folder. Name {expected}." if os.path.isdir(path) else None  # noqa: PTH112 - needs no import
    return SettingsError(f"cannot read {path}: {error.strerror or error}", hint=hint)


class ImageError(RomfsError):
    """This is not a valid image; ``offset`` is the byte of the image that shows it."""

    status = 3

    def __init__(self, message: str, *, offset: int, hint: Text | None = None) -> None:
        super().__init__(f"{message} (at offset {offset})", hint=hint)
        self.what = message
        self.offset = offset


class LinkError(RomfsError):
    """There is no board, there are several, or the connection was lost."""

    status = 4


class LostLinkError(LinkError):
    """The port itself is gone: unplugged, or closed from the other side."""


class PortUnavailableError(LinkError):
    """The port is missing, busy, or not accessible yet; it may be available a moment later."""


class BoardError(RomfsError):
    """The board cannot take this image."""

    status = 5


class VerifyError(RomfsError):
    """The content of a board is not what it should be, or an image does not match its inventory."""

    status = 6


class FlashInterrupted(KeyboardInterrupt):
    """Ctrl-C while a partition was being written; the text says what the partition holds now."""
