"""Errors: one class for each kind of failure, and one exit status for each class.

Libraries raise only these on purpose. Only ``cli`` and ``plugins`` turn them into a message and an exit status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class RomfsError(Exception):
    """An error that the user can do something about.

    ``message`` says what is wrong and where, and ``hint`` what to do.
    """

    status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class BuildError(RomfsError):
    """The build failed, or content that should go into the image cannot."""


class Problem:
    """One mistake in the settings: where it is, and what is wrong. ``key`` is the full path of a key, or an option."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        self.text = text

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


class SettingsError(RomfsError):
    """The command line or the settings are wrong; ``problems`` lists every mistake."""

    status = 2

    def __init__(self, problems: Sequence[Problem] | str, *, hint: str | None = None) -> None:
        self.problems = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, problems)), hint=hint)


class ImageError(RomfsError):
    """This is not a valid image; ``offset`` is the byte of the image that shows it."""

    status = 3

    def __init__(self, message: str, *, offset: int, hint: str | None = None) -> None:
        super().__init__(f"{message} (at offset {offset})", hint=hint)
        self.what = message
        self.offset = offset


class LinkError(RomfsError):
    """There is no board, there are several, or the connection was lost."""

    status = 4


class BoardError(RomfsError):
    """The board cannot take this image."""

    status = 5


class VerifyError(RomfsError):
    """The content of a board is not what it should be, or an image does not match its inventory."""

    status = 6
