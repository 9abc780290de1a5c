"""A connection to a board for as long as one command takes."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_romfs.board.link import Link, open_link
from hatch_romfs.board.ports import choose_port
from hatch_romfs.board.probe import Board, probe
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.board.link import Trace

UNMOUNT = """\
import os,vfs
os.chdir('/')
try:
 for f,p in reversed(vfs.mount()):
  if isinstance(f,vfs.VfsRom):vfs.umount(p)
except TypeError:
 try:vfs.umount('/rom')
 except OSError:pass
"""
"""Unmounts every ROM filesystem; firmware without a list of mounts has the one at ``/rom``."""


@dataclass(frozen=True, slots=True)
class PortOptions:
    """How to reach a board: ``port`` as ``choose_port`` takes it, the speed in baud, DTR and RTS if they matter."""

    port: str | None = None
    baudrate: int = 115200
    dtr: bool | None = None
    rts: bool | None = None


@dataclass(slots=True)
class Session:
    """A board whose raw REPL has a prompt; ``reset`` says whether its programs run again when the session ends."""

    link: Link
    repl: RawRepl
    board: Board
    reset: bool = True

    def quiesce(self) -> None:
        """Start MicroPython anew and unmount every ROM filesystem, so that nothing lies where will be erased."""
        self.repl.soft_reset()
        self.repl.run(UNMOUNT)

    def restart(self) -> None:
        """Start MicroPython anew, with ``boot.py`` but not yet ``main.py``."""
        self.repl.soft_reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the board as after a reset, with its ``main.py`` running, or else with its prompt."""
        if isinstance(error, LinkError):
            return  # who can say what would take it there now
        with suppress(LinkError):  # what was to be done is done
            self.repl.leave()
            if self.reset:
                self.link.write(b"\x04")


@contextmanager
def session(options: PortOptions, trace: Trace | None = None) -> Iterator[Session]:
    """Connect to the board that is meant, and get a prompt; raises LinkError."""
    with ExitStack() as stack:
        name = choose_port(options.port)
        if name.startswith("sim:"):
            from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url  # noqa: PLC0415 - not where boards are real

            name = stack.enter_context(SimulatedBoard(parse_sim_url(name))).port
        link = open_link(name, baudrate=options.baudrate, dtr=options.dtr, rts=options.rts, trace=trace)
        stack.callback(link.close)
        repl = RawRepl(link)
        repl.enter()
        yield stack.enter_context(Session(link, repl, probe(repl)))
