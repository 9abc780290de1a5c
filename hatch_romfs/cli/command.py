"""What every command shares: common options, and errors as one message with an exit status."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from hatch_romfs.cli.completion import PrintCompletion
from hatch_romfs.errors import INTERRUPTED, ImageError, RomfsError, SettingsError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RED, YELLOW, CYAN = 31, 33, 36


class _Notes:
    """Whether reports and warnings are hidden: the ``-q`` of the command that runs."""

    are_hidden = False


_notes = _Notes()


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors like all others, and that accepts no abbreviated options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(allow_abbrev=False, **options)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse arguments; from then on, ``-q`` hides reports and warnings."""
        options = super().parse_args(args, namespace)
        _notes.are_hidden = getattr(options, "quiet", False)
        return options

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        raise SettingsError(message, hint=f"'{self.prog} --help' prints the options.")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments; a command refuses what it does not know itself, so that the hint names its own help."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from romfs_manifest.shared.suggest import did_you_mean  # noqa: PLC0415 - only a mistake needs it

            options = (word.partition("=")[0] for word in unknown if word.startswith("-"))
            suggestion = next(filter(None, (did_you_mean(word, self._option_string_actions) for word in options)), "")
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion}")
        return parsed, []


def add_command(
    commands: argparse._SubParsersAction[Parser], name: str, action: Callable[[argparse.Namespace], None], help_: str
) -> Parser:
    """Add one of a program's commands, and return its parser; ``action`` runs it."""
    added = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    added.set_defaults(run=action)
    return added


class Version(argparse.Action):
    """``--version``, which looks the version up only if it is needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and exit."""
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"{parser.prog} {version('hatch-romfs')}\n")
        parser.exit()


def add_program_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that each program has, before any command."""
    add = parser.add_argument
    add("--version", action=Version, nargs=0, help="print the version and exit")
    add(
        "--print-completion",
        action=PrintCompletion,
        metavar="SHELL",
        help="print the script with which a shell such as bash completes this command, and exit",
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors and what was asked for")
    parser.add_argument("-v", "--verbose", action="store_true", help="print more, and errors with their traceback")


def label(word: str, color: int, stream: TextIO) -> str:
    """Return a label such as ``error:``, in an ANSI color if the stream is a terminal on which colors are wanted."""
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM", "dumb") == "dumb"
    return f"{word}:" if unwanted or not stream.isatty() else f"\x1b[1;{color}m{word}:\x1b[0m"


# A command prints with these functions, each of which prints one line, whatever names of strangers that contains. They
# are the only ones that know of -q: it hides what say, tell, and warn print, and the bars of progress.


def is_quiet() -> bool:
    """Return whether ``-q`` was given."""
    return _notes.are_hidden


def print_line(text: str) -> None:
    """Print a line that was asked for, such as one of a listing."""
    sys.stdout.write(f"{one_line(text)}\n")


def say(text: str) -> None:
    """Print a line about what was done."""
    if not is_quiet():
        print_line(text)


def tell(text: str) -> None:
    """Print a line about what is going on on standard error."""
    if not is_quiet():
        _print_error(text)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    if not is_quiet():
        sys.stderr.write(f"{label('warning', YELLOW, sys.stderr)} {one_line(text)}\n")


def _print_error(text: str) -> None:
    sys.stderr.write(f"{one_line(text)}\n")


def print_json(document: object) -> None:
    """Print the document of a command with ``--json``; it is ASCII."""
    import json  # noqa: PLC0415

    sys.stdout.write(f"{json.dumps(document, indent=2)}\n")


def run(command: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a command with the arguments of the process, and exit with its status."""
    for name in ("SIGTERM", "SIGHUP"):  # exit as with Ctrl-C, so that nothing is left behind
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _exit)
    if sys.stdout is None:  # closed by the caller, as with >&-
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end
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
    except KeyboardInterrupt as error:
        return _interrupted(str(error), arguments)
    except OSError as error:
        # Python must not try to write the rest of the buffer again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return 0  # the reading end of the pipe was closed, as by `head`
        return _fail(RomfsError(f"{error.strerror or error}"), arguments)
    return 0


def _interrupted(message: str, arguments: Sequence[str]) -> int:
    """Report a Ctrl-C, with what it leaves behind where that is known."""
    lines = ["interrupted", *([message] if message else [])]
    if "--json" in arguments:
        print_json({"error": {"message": ": ".join(lines), "hint": None, "status": INTERRUPTED}})
    _print_error(": ".join(lines))
    return INTERRUPTED


def _fail(error: RomfsError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        body: dict[str, object] = {"message": error.message, "hint": error.hint, "status": error.status}
        if isinstance(error, ImageError):
            body["offset"] = error.offset
        print_json({"error": body})
    if {"-v", "--verbose"} & set(arguments):
        _show_traceback(error)
    show_error(error.message, error.hint)
    return error.status


def show_error(message: str, hint: str | None) -> None:
    """Print an error on standard error; both texts can be printed as they are, like those of a RomfsError."""
    sys.stderr.write(f"{label('error', RED, sys.stderr)} {message}\n")
    if hint:
        start = f"\n{label('hint', CYAN, sys.stderr)} " if sys.stderr.isatty() else ""
        sys.stderr.write(f"{start}{hint}\n")


def _show_traceback(error: BaseException) -> None:
    """Print where an error comes from, indented: the text of a library's error must not look like a line of ours."""
    import traceback  # noqa: PLC0415

    for part in traceback.format_exception(error):
        for line in part.splitlines():
            _print_error(f"  {line}")
