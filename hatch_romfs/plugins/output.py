"""What build backends without an interface of their own print, and the project in the current folder."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_romfs.errors import one_line

if TYPE_CHECKING:
    from typing import TextIO

    from hatch_romfs.settings.project import Project

# Hooks that build no image, such as those of an editable install, need not wait for the code that does.
# ruff: noqa: PLC0415

_LOG = logging.getLogger(__name__)
"""Build backends that use logging, such as setuptools, show its messages if they are asked to be verbose."""


def find_project() -> Project:
    """Return the project that a front end builds: the one in the current folder. Raises SettingsError."""
    from hatch_romfs.settings.project import load, read_project

    root = Path.cwd()
    return read_project(root, load(root) or {})


def wheel_version(wheel: str) -> str:
    """Return the version in the name of a wheel."""
    from packaging.utils import parse_wheel_filename

    return str(parse_wheel_filename(wheel)[1])


def print_path(path: Path) -> None:
    """Print the path of a file that was built."""
    root = Path.cwd()
    _print(one_line(os.path.relpath(path, root) if path.is_relative_to(root) else str(path)), sys.stdout)


def explain(text: str) -> None:
    """Log a line that only verbose output shows."""
    _LOG.debug(text)


def print_error(text: str) -> None:
    """Print a line to standard error."""
    _print(text, sys.stderr)


def abort(message: str, /, code: int) -> NoReturn:
    """Print an error and end the process."""
    print_error(f"error: {message}")
    sys.exit(code)


def _print(text: str, stream: TextIO) -> None:
    """Print a line, escaping what the encoding of the stream does not have."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
