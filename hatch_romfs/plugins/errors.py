"""Where a build backend's plugin begins and ends: errors become a message and an exit status, progress lines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hatch_romfs.errors import RomfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.builder.build import BuildResult
    from hatch_romfs.builder.jobs import Job
    from hatch_romfs.events import Progress, Report

_STEPS = 4
"""The number of progress lines that a phase prints."""
_MANY_MODULES = 100
"""Compiling fewer modules is not worth a line of progress."""


class Abort(Protocol):
    """Prints an error and ends the process, in the way of the build backend."""

    def __call__(self, message: str, /, code: int) -> object:
        """Do it."""
        ...


@contextmanager
def abort_on_failure(abort: Abort) -> Iterator[None]:
    """Pass errors that the user can do something about to ``abort``."""
    try:
        yield
    except RomfsError as error:
        abort(str(error), code=error.status)
        raise


def build_job(job: Job, warn: Callable[[str], object], inform: Callable[[str], object]) -> BuildResult:
    """Build the image of ``job``; ``warn`` receives warnings, and ``inform`` progress. Raises RomfsError."""
    from hatch_romfs.builder.build import build_image  # noqa: PLC0415 - an editable install builds no image

    result = build_image(job, on_progress=report_lines(inform))
    for warning in result.warnings:
        escaped = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in warning)
        warn(f"warning: {escaped}")
    return result


def report_lines(inform: Callable[[str], object]) -> Report:
    """Return a reporter for output that is not a terminal: a few lines, and only if many modules are compiled."""
    next_steps: dict[str, int] = {}

    def report(event: Progress) -> None:
        if event.unit != "modules" or event.total < _MANY_MODULES:
            return
        step = event.done * _STEPS // event.total
        if step >= next_steps.get(event.phase, 1):
            next_steps[event.phase] = step + 1
            inform(f"{event.phase}: {event.done} of {event.total} {event.unit}")

    return report
