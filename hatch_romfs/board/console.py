"""What a board prints, made safe for a terminal, and a module that runs on it."""

from __future__ import annotations

import codecs
import math
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.repl import ANSWER_TIMEOUT
from hatch_romfs.errors import LinkError, RomfsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.board.repl import RawRepl

    OnOutput = Callable[[bytes], None]

STOP_TIMEOUT: Final = 3.0
"""Seconds in which a program must end that was interrupted."""
LONGEST_SEQUENCE: Final = 32
"""Characters of a control sequence that is waited for; a longer one is text."""

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_INCOMPLETE = re.compile(r"(\x1b(\[[0-?]*[ -/]*)?|\r)\Z")
_EDITING = re.compile(r"\x1b\[(K|[0-9]{1,3}D)")
"""What the REPL's line editing sends beside backspaces: erase to the end of the line, and move to the left."""


class TerminalText:
    r"""Turns the bytes of a board into text that cannot change a terminal: no colors, titles, or jumps of the cursor.

    Colors are dropped because lines of ``romfs-flash`` itself are recognized by their style. Control sequences
    disappear, other unprintable characters are escaped; newlines, tabs, and carriage returns stay. With ``editing``,
    so do backspaces and what else the REPL's line editing needs, none of which leaves the current line. A newline is
    always ``\n``; with ``lines``, a carriage return alone is one too, so that nothing can be overwritten.
    """

    def __init__(self, *, editing: bool = False, lines: bool = False) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._kept = "\n\t\r\b" if editing else "\n\t\r"
        self._editing = editing
        self._lines = lines
        self._waiting = ""

    def feed(self, data: bytes) -> str:
        """Return the text of the next bytes; a sequence that is not complete yet waits for the rest."""
        text = self._waiting + self._decode(data)
        cut = _INCOMPLETE.search(text)
        self._waiting = ""
        if cut and len(cut[0]) <= LONGEST_SEQUENCE:
            text, self._waiting = text[: cut.start()], cut[0]
        return self._clean(text)

    def finish(self) -> str:
        """Return what was waiting for more."""
        text, self._waiting = self._waiting + self._decode(b"", True), ""  # noqa: FBT003 - the codec's own
        return self._clean(text)

    def _clean(self, text: str) -> str:
        text = text.replace("\r\n", "\n")
        if self._lines:
            text = text.replace("\r", "\n")
        clean, at = [], 0
        for found in _SEQUENCE.finditer(text):
            clean.append(self._escape(text[at : found.start()]))
            if self._editing and _EDITING.fullmatch(found[0]):
                clean.append(found[0])
            at = found.end()
        return "".join((*clean, self._escape(text[at:])))

    def _escape(self, text: str) -> str:
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() or char in self._kept else ascii(char)[1:-1] for char in text)


def run_module(repl: RawRepl, module: str, on_output: OnOutput) -> None:
    """Import a module after a reset, pass on what it prints, and return when it ends.

    ``boot.py`` runs before it, ``main.py`` does not. KeyboardInterrupt interrupts the module too. Raises RomfsError
    with the traceback if the module raises, and LinkError.
    """
    repl.soft_reset(boot=True)
    repl.send(f"import {module}")
    try:
        _pass_output(repl, on_output)
    except KeyboardInterrupt:
        with suppress(LinkError):
            repl.link.write(b"\x03")
            _pass_output(repl, on_output, STOP_TIMEOUT)
            repl.link.read_until(b"\x04", ANSWER_TIMEOUT)
        raise
    raised = repl.link.read_until(b"\x04", ANSWER_TIMEOUT)[:-1].decode(errors="replace").strip().splitlines()
    repl.link.read_until(b">", ANSWER_TIMEOUT)
    if raised:
        raise RomfsError(f"{module} raised {raised[-1]}", hint=[f"  {line}" for line in raised])


def _pass_output(repl: RawRepl, on_output: OnOutput, timeout: float = math.inf) -> None:
    """Pass on what a program prints up to its end, or until ``timeout``."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        data = repl.link.receive()
        printed, ended, rest = data.partition(b"\x04")
        if printed:
            on_output(printed)
        if ended:
            repl.link.put_back(rest)
            return
