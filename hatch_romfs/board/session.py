"""A connection to a board for as long as one command takes."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.link import Link, ignore_activity, ignore_message, open_link
from hatch_romfs.board.opening import BUSY
from hatch_romfs.board.ports import choose_port, follow
from hatch_romfs.board.probe import Board, probe
from hatch_romfs.board.repl import SHORT_BOOT, RawRepl
from hatch_romfs.errors import BoardError, LinkError, PortUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.board.link import OnActivity, OnMessage, Trace
    from hatch_romfs.board.opening import OpenPort, PortSource

    OnBoard = Callable[[Board], None]

POLL: Final = 0.2
"""Seconds between two looks for a board that is waited for."""
UNMOUNT: Final = """\
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

IN_USE: Final = """\
def u():
 import os,sys,vfs
 try:m=[p for f,p in vfs.mount()if isinstance(f,vfs.VfsRom)]
 except TypeError:m=['/rom']
 k=[]
 for r in m:
  try:
   for e in os.ilistdir(r):
    if e[1]==0x8000:
     for o in('r','rb'):
      f=open(r+'/'+e[0],o)
      k.append(type(f))
      f.close()
     break
  except OSError:pass
 for n,x in sys.modules.items():
  f=getattr(x,'__file__','')
  for r in m:
   if f==r or f.startswith(r+'/'):print(f)
  for a in dir(x)if k else():
   if type(getattr(x,a,0))in k:print(n+'.'+a)
 for a in globals()if k else():
  if type(globals()[a])in k:print(a)
u()
del u
"""
"""Prints the modules that were imported from a ROM filesystem, and the variables that hold one of its open files."""


@dataclass(frozen=True, slots=True)
class PortOptions:
    """How to reach a board: ``port`` as ``choose_port`` takes it, the speed in baud, DTR and RTS if they matter.

    ``source`` is a port of the caller's, which takes the place of ``port``, ``dtr``, ``rts`` and ``wait``.
    ``wait`` is how many seconds to wait for a board that is not plugged in yet. ``origin`` says in messages where the
    name of the port comes from. ``on_message`` is called with the port that was chosen, and with what is waited for.
    ``boot`` says whether its ``boot.py`` may run to its end in the reset before a partition is changed, ``identify``
    whether the board is asked for its unique ID. ``on_activity`` is called many times a second while the board is
    worked with or waited for: where it is not called, this program hangs, and not the board.
    """

    port: str | None = None
    baudrate: int = 115200
    dtr: bool | None = None
    rts: bool | None = None
    wait: float = 0.0
    origin: str = ""
    on_message: OnMessage = field(default=ignore_message, compare=False, repr=False)
    boot: bool = True
    identify: bool = False
    source: PortSource | None = None
    on_activity: OnActivity = field(default=ignore_activity, compare=False, repr=False)

    @classmethod
    def of(cls, port: str | PortOptions | None) -> PortOptions:
        """Return the options of a port, which may be only its name."""
        return port if isinstance(port, PortOptions) else cls(port)


def ignore_board(_board: Board) -> None:
    """Do nothing: the default for callers that do not look at the board before it is read or changed."""


@dataclass(slots=True)
class Session:
    """A board whose raw REPL has a prompt; ``reset`` says whether its programs run again when the session ends."""

    link: Link
    repl: RawRepl
    board: Board
    boot: bool = True
    reset: bool = True

    def quiesce(self) -> None:
        """Restart MicroPython and unmount every ROM filesystem, so that nothing uses what will be erased.

        Whatever ``boot.py`` sets up, such as what feeds a watchdog, is kept where it does not use files of a ROM
        filesystem: erasing under running code hangs boards. Raises BoardError where they stay in use.
        """
        used = ""
        for boot in (True, False) if self.boot else (False,):
            self.repl.soft_reset(boot=boot)
            used = ", ".join(self.repl.run_again(IN_USE).split("\n")[:-1])[:200]
            if not used:
                self.repl.run_again(UNMOUNT)
                return
        raise BoardError(
            f"{self.board.machine} uses files of its ROM filesystem right after a reset: {used}",
            hint="Erasing them could hang the board. Its boot.py imports them before it can be interrupted:"
            " rename it on the board, reset, and run the same command again.",
        )

    def restart(self) -> None:
        """Restart MicroPython, which mounts its partition, without waiting for a long ``boot.py``."""
        self.repl.soft_reset(boot=False, patience=SHORT_BOOT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the board as after a reset, with its ``main.py`` running, or else with its prompt."""
        if isinstance(error, LinkError):
            return  # the state of the board is unknown
        with suppress(LinkError):  # the work is done
            self.repl.leave()
            if self.reset:
                self.link.write(b"\x04")


@contextmanager
def session(options: PortOptions, trace: Trace | None = None) -> Iterator[Session]:
    """Connect to the board that is meant, and get a prompt; raises LinkError."""
    with connection(options, trace) as link, session_on(link, boot=options.boot, identify=options.identify) as found:
        yield found


@contextmanager
def session_on(link: Link, *, boot: bool = True, identify: bool = False) -> Iterator[Session]:
    """Get a prompt on a board that is connected, and leave the link open at the end; raises LinkError."""
    repl = RawRepl(link)
    repl.enter()
    with Session(link, repl, probe(repl, identify=identify), boot) as found:
        yield found


@contextmanager
def connection(options: PortOptions, trace: Trace | None = None) -> Iterator[Link]:
    """Open the port of the board that is meant, and write nothing to it; raises LinkError."""
    with ExitStack() as stack:
        if (options.port or "").startswith("sim:"):
            from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url  # noqa: PLC0415 - not for real boards

            board = stack.enter_context(SimulatedBoard(parse_sim_url(options.port or "")))
            if options.origin:
                options.on_message(f"using port {options.port} (from {options.origin})")
            link = open_link(board.port, baudrate=options.baudrate, trace=trace, on_message=options.on_message)
        elif options.source is not None:
            link = _open_source(options.source, options, trace)
        else:
            link = _connect(options, trace)
        stack.callback(link.close)
        link.on_activity = options.on_activity
        yield link


def _open_source(source: PortSource, options: PortOptions, trace: Trace | None) -> Link:
    """Open a port of the caller's; raises PortUnavailableError."""
    name, baudrate = source.name, options.baudrate

    def open_() -> OpenPort:
        try:
            return source.open(baudrate)
        except OSError as error:
            raise PortUnavailableError(f"cannot open {name}: {error}", hint=BUSY) from error

    return Link(open_(), name, trace, baudrate=baudrate, open_again=open_, on_message=options.on_message)


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
        options.on_activity()
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
        kind = f", a USB serial adapter ({port.adapter})" if port.adapter and options.port is None else ""
        options.on_message(f"using port {port.name}{by_id}{source}{kind}")
    return link
