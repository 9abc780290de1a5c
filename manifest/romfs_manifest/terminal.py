"""Where the command begins and ends: failures to one message and an exit status, progress where somebody watches."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn

from romfs_manifest.errors import ManifestError, UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are failures like all others, and that takes no abbreviated options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"'{self.prog} --help' shows how it is used.")


def say(text: str) -> None:
    """Print a line for people: one line, whatever names of strangers it contains."""
    sys.stdout.write(f"{one_line(text)}\n")


def tell(text: str) -> None:
    """Print a line about what is going on on standard error."""
    sys.stderr.write(f"{one_line(text)}\n")


def print_json(document: object) -> None:
    """Print the one document of a command that was given ``--json``."""
    import json  # noqa: PLC0415 - people need none

    sys.stdout.write(f"{json.dumps(document, indent=2)}\n")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show progress as a bar on standard error while it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it
    from rich.progress import Progress, TaskID  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def on_progress(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(doing)
            bar.update(tasks[doing], completed=done, total=total)

        yield on_progress


def run(command: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a command on the process's arguments, and end the process with its status."""
    for name in ("SIGTERM", "SIGHUP"):  # ended like by Ctrl-C: with nothing left behind
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(_status(command, sys.argv[1:]))


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _status(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    try:
        command(arguments)
        sys.stdout.flush()
    except ManifestError as error:
        return _fail(error, arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except OSError as error:
        # What is left in the buffer must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return 0  # the reader of a pipe has seen enough, which is no failure
        return _fail(ManifestError(f"{error.strerror or error}"), arguments)
    return 0


def _fail(error: ManifestError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        print_json({"error": {"message": str(error), "hint": error.hint, "status": error.status}})
    if {"-v", "--verbose"} & set(arguments):
        _show_traceback(error)
    hint = f"\n  {error.hint}" if error.hint else ""
    sys.stderr.write(f"error: {error}{hint}\n")  # which has escaped its text itself
    return error.status


def _show_traceback(error: BaseException) -> None:
    """Print where an error comes from, indented: the text of a library's error must not look like a line of ours."""
    import traceback  # noqa: PLC0415

    for part in traceback.format_exception(error):
        for line in part.splitlines():
            tell(f"  {line}")
