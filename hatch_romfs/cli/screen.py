"""What ``--watch`` and ``--monitor`` show: lines of their own, and the board's output, which cannot imitate them.

On a terminal, the own lines have a style that no output of a board can have. Elsewhere, lines of the board begin
with ``| `` where there are own lines between them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.console import TerminalText
from hatch_romfs.cli.command import is_quiet
from hatch_romfs.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from hatch_romfs.errors import RomfsError

PREFIX: Final = "| "
"""How a line of the board begins in a pipe."""


class Screen:
    """Standard output for one command. Without ``mixed``, it is the board's alone, and no line gets a prefix."""

    def __init__(self, *, mixed: bool = True) -> None:
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._prefix = PREFIX if mixed and not self.is_terminal else ""
        self._text = TerminalText(editing=self.is_terminal, lines=bool(self._prefix))
        self._console: Console | None = None
        self._is_line_open = False

    def clear(self) -> None:
        """Begin a new screen on a terminal."""
        if self.is_terminal and not is_quiet():
            self._make_console().clear()
            self._is_line_open = False

    def say(self, text: str) -> None:
        """Show a line of our own."""
        if not is_quiet():
            self._own_line(one_line(text), "reverse")

    def fail(self, error: RomfsError) -> None:
        """Show an error, which has escaped its text itself."""
        for line in f"error: {error}".split("\n"):
            self._own_line(line, "bold red")

    def output(self, data: bytes) -> None:
        """Show what the board has sent."""
        self._write(self._text.feed(data))

    def end(self) -> None:
        """End the board's last line."""
        self._write(self._text.finish())
        if self._is_line_open:
            self._write("\n")

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._prefix:
            begun = text if self._is_line_open else f"{self._prefix}{text}"
            text = begun[:-1].replace("\n", f"\n{self._prefix}") + begun[-1]
        sys.stdout.write(text)
        self._is_line_open = not text.endswith("\n")
        sys.stdout.flush()

    def _own_line(self, line: str, style: str) -> None:
        self.end()
        if self.is_terminal:
            from rich.text import Text  # noqa: PLC0415 - a pipe needs none of it

            self._make_console().print(Text(line, style=style), soft_wrap=True)
        else:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _make_console(self) -> Console:
        if self._console is None:
            from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it

            self._console = Console(file=sys.stdout, highlight=False)
        return self._console
