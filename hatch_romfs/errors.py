"""The ways in which things fail: one class a kind of failure, one exit status a class.

Libraries raise these and nothing else on purpose; only the edges (``cli`` and ``plugins``) turn them
into a line on the screen and a status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence


Text: TypeAlias = "str | Sequence[str]"
"""A line of text, or several."""


def one_line(text: str) -> str:
    """Return ``text`` as one line, with everything escaped that could move a cursor, change a color or hide text.

    Names come from boards, images and folders, and are hostile until proven otherwise: a newline is escaped too, so
    that no name can look like a line of our own.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _lines(text: Text) -> str:
    return "\n".join(map(one_line, (text,) if isinstance(text, str) else text))


class RomfsError(Exception):
    """Something that the user can do something about.

    ``message`` says what is wrong and where, ``hint`` what to do about it. Both can be several lines, given as a
    sequence. They can be printed as they are: everything unprintable is escaped, also a newline within a line.
    """

    status: ClassVar[int] = 1

    def __init__(self, message: Text, *, hint: Text | None = None) -> None:
        self.message = _lines(message)
        self.hint = None if hint is None else _lines(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class BuildError(RomfsError):
    """The build or what should go into the image is at fault."""


class Problem:
    """One mistake in the settings: the full path of the key, and what is wrong with it."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        self.text = text

    def __str__(self) -> str:
        return one_line(f"{self.key}: {self.text}")


class SettingsError(RomfsError):
    """The command line or the settings are wrong; ``problems`` holds every mistake that was found."""

    status = 2

    def __init__(self, problems: Sequence[Problem] | str, *, hint: Text | None = None) -> None:
        self.problems = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else list(map(str, problems)), hint=hint)


class ImageError(RomfsError):
    """This is not a sound image; ``offset`` is the byte of the image at which that shows."""

    status = 3

    def __init__(self, message: str, *, offset: int, hint: Text | None = None) -> None:
        super().__init__(f"{message} (at offset {offset})", hint=hint)
        self.what = message
        self.offset = offset


class LinkError(RomfsError):
    """There is no board, there are several, or the link to it was lost."""

    status = 4


class LostLinkError(LinkError):
    """The port itself is gone: unplugged, or closed from the other side."""


class PortUnavailableError(LinkError):
    """The port is missing, busy, or not accessible yet; it may be available a moment later."""


class BoardError(RomfsError):
    """The board cannot take this image."""

    status = 5


class VerifyError(RomfsError):
    """The board does not hold what it should, or an image not what its inventory says."""

    status = 6


class FlashInterrupted(KeyboardInterrupt):
    """Ctrl-C while a partition was being written; the text says what the partition holds now."""
