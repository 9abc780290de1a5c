"""Where a build backend's plugin begins and ends: what goes wrong becomes a message and an exit status."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hatch_romfs.errors import RomfsError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_romfs.pipeline import Job


class Abort(Protocol):
    """Says what went wrong and ends the process, as the build backend does that."""

    def __call__(self, message: str, /, code: int) -> object:
        """Do it."""
        ...


@contextmanager
def failures(abort: Abort) -> Iterator[None]:
    """Hand what the user can do something about to ``abort``."""
    try:
        yield
    except RomfsError as error:
        abort(str(error), code=error.status)
        raise


def image(job: Job, warn: Callable[[str], object]) -> Path:
    """Build the image of ``job`` and return where it is; ``warn`` hears what its maker should. Raises RomfsError."""
    from hatch_romfs.pipeline import build_image  # noqa: PLC0415 - an editable install builds none

    built = build_image(job)
    for warning in built.warnings:
        warn(f"warning: {one_line(warning)}")
    return built.path
