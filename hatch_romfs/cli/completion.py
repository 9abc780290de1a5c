"""``--print-completion``: the script with which a shell completes a command; shtab, which is optional, writes it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


class PrintCompletion(argparse.Action):
    """The option: prints the script for the shell that it names, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, _options: object, shell: object, *_: object) -> NoReturn:
        """Print the script. Raises SettingsError for a shell that shtab does not know, or without shtab."""
        try:
            import shtab  # noqa: PLC0415 - optional, and needed by nothing else
        except ImportError:
            raise SettingsError(
                "--print-completion needs the package shtab", hint='Install it: pip install "hatch-romfs[completion]"'
            ) from None
        if shell not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(shtab.SUPPORTED_SHELLS)
            raise SettingsError(f"--print-completion: {shell!r} is not one of {known}")
        for action in _actions(parser):
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        sys.stdout.write(f"{shtab.complete(parser, str(shell))}\n")
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the options and arguments of a parser and of its commands."""
    for action in parser._actions:  # noqa: SLF001 - as shtab does; argparse has no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in action.choices.values():
                yield from _actions(inner)
