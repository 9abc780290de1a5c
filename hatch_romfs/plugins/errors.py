"""Where a build backend's plugin begins and ends: errors become a message and an exit status, progress lines."""

from __future__ import annotations

import codecs
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol

from hatch_romfs.errors import INTERRUPTED, RomfsError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    """Pass errors that the user can do something about to ``abort``, and Ctrl-C."""
    print_all_characters()
    try:
        yield
    except RomfsError as error:
        abort(str(error), code=error.status)
        raise
    except KeyboardInterrupt:
        abort("interrupted", code=INTERRUPTED)
        raise


def print_all_characters() -> None:
    """Print UTF-8 instead of ASCII, which Python chooses in some environments and which escapes names such as Ü."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def build_job(
    job: Job,
    warn: Callable[[str], object],
    inform: Callable[[str], object],
    explain: Callable[[str], object],
    staging: Path | None = None,
) -> BuildResult:
    """Build the image of ``job``, into the folder ``staging`` if there is one. Raises RomfsError.

    ``warn`` receives warnings, ``inform`` progress, and ``explain`` what only verbose output shows.
    """
    from hatch_romfs.builder.build import build_image  # noqa: PLC0415 - an editable install builds no image

    result = build_image(job, on_progress=report_lines(inform), staging=staging)
    for warning in result.warnings:
        warn(f"warning: {one_line(warning)}")
    for path in result.excluded:
        explain(f"excluded {one_line(path)} (by a built-in pattern)")
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
