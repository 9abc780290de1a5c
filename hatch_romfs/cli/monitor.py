"""``romfs-flash --monitor`` and ``--run``: what a board prints, and nothing else on standard output."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_romfs.board.console import run_module
from hatch_romfs.board.repl import REOPEN_TIMEOUT
from hatch_romfs.board.session import connection
from hatch_romfs.cli.command import tell
from hatch_romfs.cli.keys import LEAVE, keyboard
from hatch_romfs.cli.screen import Screen
from hatch_romfs.errors import LostLinkError

if TYPE_CHECKING:
    from hatch_romfs.board.link import Link, Trace
    from hatch_romfs.board.session import PortOptions, Session
    from hatch_romfs.cli.keys import Keys


def monitor(port: PortOptions, trace: Trace | None) -> None:
    """Show what the board prints until Ctrl-] or Ctrl-C, and write nothing to it; raises LinkError."""
    screen = Screen(mixed=False)
    with suppress(KeyboardInterrupt), connection(port, trace) as link, keyboard() as keys:
        if sys.stdin.isatty():
            port.on_message("showing the board's output; Ctrl-] leaves")
        _show(link, screen, keys, max(port.wait, REOPEN_TIMEOUT))
    screen.end()


def _show(link: Link, screen: Screen, keys: Keys, patience: float) -> None:
    while LEAVE not in keys():
        try:
            screen.output(link.receive())
        except LostLinkError:  # noqa: PERF203 - a reset of the board, or its cable
            screen.end()
            link.reopen(patience)


def run(found: Session, module: str) -> None:
    """Run a module on a board that was just flashed; raises RomfsError if it raises.

    The board is left at its prompt, with whatever the module has started: a reset would end that.
    """
    screen = Screen(mixed=False)
    found.reset = False
    tell(f"running {module}; Ctrl-C interrupts it")
    try:
        run_module(found.repl, module, screen.output)
    finally:
        screen.end()
