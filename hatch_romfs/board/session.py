"""A connection to a board for as long as one command takes."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hatch_romfs.board.link import Link, ignore_message, open_link
from hatch_romfs.board.ports import choose_port, follow
from hatch_romfs.board.probe import Board, probe
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.errors import LinkError, PortUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.board.link import OnMessage, Trace

POLL = 0.2
"""Seconds between two looks for a board that is waited for."""
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
    """How to reach a board: ``port`` as ``choose_port`` takes it, the speed in baud, DTR and RTS if they matter.

    ``wait`` is how many seconds to wait for a board that is not plugged in yet. ``origin`` says in messages where the
    name of the port comes from. ``on_message`` is called with the port that was chosen, and with what is waited for.
    """

    port: str | None = None
    baudrate: int = 115200
    dtr: bool | None = None
    rts: bool | None = None
    wait: float = 0.0
    origin: str = ""
    on_message: OnMessage = field(default=ignore_message, compare=False, repr=False)


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
        if (options.port or "").startswith("sim:"):
            from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url  # noqa: PLC0415 - not where boards are real

            board = stack.enter_context(SimulatedBoard(parse_sim_url(options.port or "")))
            if options.origin:
                options.on_message(f"using port {options.port} (from {options.origin})")
            link = open_link(board.port, baudrate=options.baudrate, trace=trace, on_message=options.on_message)
        else:
            link = _connect(options, trace)
        stack.callback(link.close)
        repl = RawRepl(link)
        repl.enter()
        yield stack.enter_context(Session(link, repl, probe(repl)))


def _connect(options: PortOptions, trace: Trace | None) -> Link:
    """Open the port that is meant, and wait for it as long as the options say; raises LinkError."""
    deadline = time.monotonic() + options.wait
    reason = ""
    while True:
        try:
            return _open(options, trace)
        except PortUnavailableError as error:
            if time.monotonic() >= deadline:
                raise
            if error.message != reason:
                reason = error.message
                options.on_message(f"waiting for the board: {reason}")
        time.sleep(POLL)


def _open(options: PortOptions, trace: Trace | None) -> Link:
    port = choose_port(options.port, options.origin)
    link = open_link(
        port.name,
        baudrate=options.baudrate,
        dtr=options.dtr,
        rts=options.rts,
        trace=trace,
        origin=options.origin,
        find_again=follow(port),
        on_message=options.on_message,
    )
    if port.name != options.port or options.origin:
        by_id = f", serial number {port.serial_number}" if port.serial_number else ""
        source = f" (from {options.origin})" if options.origin else ""
        options.on_message(f"using port {port.name}{by_id}{source}")
    return link
