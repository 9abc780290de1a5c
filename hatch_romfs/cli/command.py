"""What every command shares: common options, and errors as one message with an exit status."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn

from hatch_romfs.errors import ImageError, RomfsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130
_BYTES = 0xDC00
"""The surrogate of byte 0, in Python's file names."""


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors like all others, and that accepts no abbreviated options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        raise SettingsError(message, hint=f"'{self.prog} --help' prints the options.")


class Version(argparse.Action):
    """``--version``, which looks the version up only if it is needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and exit."""
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"{parser.prog} {version('hatch-romfs')}\n")
        parser.exit()


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    parser.add_argument("-v", "--verbose", action="store_true", help="print more, and errors with their traceback")


def printable(text: str) -> str:
    """Return ``text`` with everything escaped that could move a cursor or change a color, except line breaks.

    Names come from images and folders, which can be hostile.
    """
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def _escape(char: str) -> str:
    """Return a character as an escape; one that stands for a byte of a name that is not UTF-8 becomes that byte's."""
    byte = ord(char) - _BYTES
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(char)[1:-1]  # noqa: PLR2004


def say(text: str) -> None:
    """Print a line for people."""
    sys.stdout.write(f"{text}\n")


def print_json(document: object) -> None:
    """Print the document of a command with ``--json``."""
    import json  # noqa: PLC0415

    say(json.dumps(document, indent=2))


def run(command: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a command with the arguments of the process, and exit with its status."""
    for name in ("SIGTERM", "SIGHUP"):  # exit as with Ctrl-C, so that nothing is left behind
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _exit)
    gc.disable()  # a short process gains nothing from it, and imports would trigger it again and again
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(_status(command, sys.argv[1:]))


def _exit(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _status(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    try:
        command(arguments)
        sys.stdout.flush()
    except RomfsError as error:
        return _fail(error, arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except OSError as error:
        # Python must not try to write the rest of the buffer again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return 0  # the reading end of the pipe was closed, as by `head`
        return _fail(RomfsError(f"{error.strerror or error}"), arguments)
    return 0


def _fail(error: RomfsError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        body: dict[str, object] = {"message": error.message, "hint": error.hint, "status": error.status}
        if isinstance(error, ImageError):
            body["offset"] = error.offset
        print_json({"error": body})
    if {"-v", "--verbose"} & set(arguments):
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    else:
        sys.stderr.write(f"error: {printable(str(error))}\n")
    return error.status
