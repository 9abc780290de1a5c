"""A connection to a board for as long as one command takes."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.link import Link, open_link
from hatch_romfs.board.ports import choose_port
from hatch_romfs.board.probe import Board, probe
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.errors import BoardError, LinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from hatch_romfs.board.link import Trace

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

    ``boot`` says whether its ``boot.py`` may run to its end in the reset before a partition is changed.
    """

    port: str | None = None
    baudrate: int = 115200
    dtr: bool | None = None
    rts: bool | None = None
    boot: bool = True


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
        """Restart MicroPython, which mounts its partition, without running ``boot.py``."""
        self.repl.soft_reset(boot=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the board as after a reset, with its ``main.py`` running, or else with its prompt."""
        if isinstance(error, LinkError):
            return  # nobody knows what would bring it there now
        with suppress(LinkError):  # the work is done
            self.repl.leave()
            if self.reset:
                self.link.write(b"\x04")


@contextmanager
def session(options: PortOptions, trace: Trace | None = None) -> Iterator[Session]:
    """Connect to the board that is meant, and get a prompt; raises LinkError."""
    with ExitStack() as stack:
        name = choose_port(options.port)
        if name.startswith("sim:"):
            from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url  # noqa: PLC0415 - not for real boards

            name = stack.enter_context(SimulatedBoard(parse_sim_url(name))).port
        link = open_link(name, baudrate=options.baudrate, dtr=options.dtr, rts=options.rts, trace=trace)
        stack.callback(link.close)
        repl = RawRepl(link)
        repl.enter()
        yield stack.enter_context(Session(link, repl, probe(repl), options.boot))
