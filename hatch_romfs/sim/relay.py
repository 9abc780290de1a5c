"""What keeps a simulated board going: its MicroPython, two lines, and the thread that passes bytes between them.

MicroPython's unix port is no board yet: it ends at a soft reset, and in raw-paste mode it does not see a Ctrl-C. So it
gets a line of its own, the host another, and the thread in between does what hardware and firmware would: starts it
again, enters the raw REPL again, turns a Ctrl-C into an interrupt while a program runs, and resets the board when its
watchdog is not fed.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING

from hatch_romfs.errors import RomfsError
from hatch_romfs.sim.downlink import Downlink
from hatch_romfs.sim.process import STOP_TIMEOUT, Process
from hatch_romfs.sim.uplink import Uplink
from hatch_romfs.sim.wire import PIECE, Line, Wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

READY = b"\0romfs-sim ready\0"
"""What MicroPython prints when the board is up; what comes before it never reaches the host, but a boot.py's output."""
BOOTING = b"\0romfs-sim boot.py\0"
"""What MicroPython prints before it runs a boot.py."""
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
SOFT_RESET = b"MPY: soft reboot\r\n"
BOOT_TIMEOUT = 20.0
"""Seconds in which MicroPython must be up."""

_POLL = 0.002


class Relay:
    """A board that runs: ``name`` is its port, ``up`` and ``down`` are the ways from and to the host.

    ``arguments`` returns MicroPython's for a start that will enter the raw REPL, or not. ``home`` is a folder for what
    the board tells the relay, and for the port.
    """

    def __init__(
        self,
        arguments: Callable[[bool], Sequence[str]],
        environment: Mapping[str, str],
        home: Path,
        wire: Wire,
    ) -> None:
        self._arguments, self._environment = arguments, environment
        self.failure: str | None = None
        self._wire = wire
        self._port = home / "port"  # the system soon gives the name of a closed terminal to another one
        self.host: Line | None = None
        self.name = self._open_port()
        self._inner = Line()
        os.mkfifo(control := home / "control")
        self._control = os.open(control, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.up, self.down = Uplink(self._inner, wire), Downlink(wire)
        self._tail = b""
        self._booting: bytes | None = None
        self._raw = False
        self._returns_at: float | None = None
        self._watchdog: float | None = None
        self._closing = False
        self._up_again, self._ended = threading.Event(), threading.Event()
        self._wake, self._waker = os.pipe()
        self._process: Process | None = None
        self._thread = threading.Thread(target=self._run, name=f"simulated board {self.name}", daemon=True)

    # What others call

    def start(self) -> None:
        """Start it and wait until it is up; raises RomfsError."""
        self._thread.start()
        self.wait()

    def reset(self) -> None:
        """Do what the reset button does, and wait until it is up again; raises RomfsError."""
        self._up_again.clear()
        if self._process is not None:
            self._process.kill()
        self.wait()

    def wait(self) -> None:
        """Wait until it is up, or runs its boot.py; raises RomfsError."""
        if not self._up_again.wait(BOOT_TIMEOUT + 5):
            self.failure = self.failure or "it took too long"
        if self.failure is not None:
            raise RomfsError(f"the simulated board did not start: {self.failure}")

    @property
    def is_open(self) -> bool:
        """Whether the host's port is there."""
        return self.host is not None

    def is_running(self) -> bool:
        """Tell whether a program runs now, so that a Ctrl-C would interrupt it; False if the system does not say."""
        return self.up.is_running()

    def join(self) -> None:
        """Wait until it ends, which it does only where it is closed or does not come up again."""
        self._ended.wait()  # a join that is interrupted takes the thread for one that has ended

    def close(self) -> None:
        """End the thread, and with it everything it has started."""
        self._closing = True
        os.write(self._waker, b".")
        if self._thread.ident is not None:
            self._thread.join(BOOT_TIMEOUT)
        else:
            self._end()
        for handle in (self._wake, self._waker, self._control):
            os.close(handle)

    # What a board with faults changes

    def from_host(self, data: bytes) -> None:
        """Take bytes that the host sent."""
        self.up.put(data)

    def from_board(self, data: bytes) -> None:
        """Take bytes that the board sent."""
        self.to_host(data)

    def to_host(self, data: bytes) -> None:
        """Pass bytes on."""
        self.down.put(data)

    def starts_again(self) -> bool:
        """Tell whether MicroPython, which has ended, starts again."""
        return True

    # The port

    def cut(self) -> None:
        """Close the host's port for good."""
        host, self.host = self.host, None  # others must not take it for open when it is closed
        if host is not None:
            self._port.unlink(missing_ok=True)
            host.close()
        self._returns_at = None

    def _open_port(self) -> str:
        """Open the port, and return its name."""
        line = Line()
        self._port.symlink_to(line.name)
        self.host = line  # others take it for open from here on
        return str(self._port)

    def _vanish(self) -> None:
        """Let the port disappear for a while."""
        if self._wire.vanish and self.host is not None:
            self.cut()
            self._returns_at = time.monotonic() + self._wire.vanish

    # The thread

    def kill(self) -> None:
        """End MicroPython at once; it starts again as after a power-on, and what was on its way up is lost."""
        self.up.forget()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        try:
            self._boot(raw=False)
            while not self._closing:
                self._turn()
        except _GoneError as error:
            self.failure = str(error)
        finally:
            self._end()
            self._up_again.set()
            self._ended.set()

    def _end(self) -> None:
        self._closing = True
        self.cut()
        self._bury()
        self._inner.close()

    def _turn(self) -> None:
        """Wait until a byte can move, and move it."""
        assert self._process is not None  # noqa: S101 - it runs
        reads: list[int | socket.socket] = [self._wake, self._process.life, self._control]
        # While a boot.py runs before the raw REPL, input waits: the unix port shows its friendly prompt first.
        is_input_blocked = self._booting is not None and self._raw
        writes = [self._inner.master] if self.up.is_filled and not is_input_blocked else []
        if self.down.has_room:
            reads.append(self._inner.master)
        room = self.up.room() if self.host is not None else 0
        if self.host is not None:
            reads += [self.host.master] if room else []
            writes += [self.host.master] if self.down.is_filled else []
        can_read, can_write, _ = select.select(reads, writes, [], self._timeout(room))
        self.up.sort()
        if self._control in can_read:
            self._take_control()
        if self._inner.master in can_read:
            self._take_output()
        self.down.flush(self.host)
        if self._inner.master in can_write:
            self.up.pass_on()
        if self.host is not None and self.host.master in can_read:
            data = self.host.read(room)
            self.up.pace.spend(len(data))
            self.from_host(data)
        elif room:
            self.up.pace.rest()
        if self._process.life in can_read:
            self._restart()
        self._keep_time()

    def _timeout(self, room: int) -> float | None:
        """Return the seconds after which something is to be done in any case, or None."""
        now = time.monotonic()
        waits = [at - now for at in (self._returns_at, self._watchdog) if at is not None]
        if self.up.has_arrived or (not room and self._wire.ring):
            waits.append(_POLL)
        waits += [wait for wait in (None if room else self.up.pace.wait(), self.down.wait()) if wait is not None]
        return max(0.0, min(waits)) if waits else None

    def _keep_time(self) -> None:
        """Reset a board whose watchdog was not fed, and bring back a port whose time has come."""
        now = time.monotonic()
        if self._watchdog is not None and now >= self._watchdog:
            self._watchdog = None
            self.kill()
        if self._returns_at is not None and now >= self._returns_at:
            self._returns_at = None
            self._open_port()

    def _take_control(self) -> None:
        """Do what the board's ``machine`` asks for."""
        for line in os.read(self._control, PIECE).splitlines():
            if line == b"reset":
                self.kill()
            elif line in (b"busy", b"idle"):
                self.up.is_busy = line == b"busy"
            else:
                self._watchdog = time.monotonic() + int(line) / 1000

    def _take_output(self) -> bool:
        data = self._inner.read(PIECE)
        if data and self._booting is not None:
            self._take_boot_output(self._booting + data)
        elif data:
            self._tail = (self._tail + data)[-4:]
            self.from_board(data)
        return bool(data)

    def _take_boot_output(self, data: bytes) -> None:
        """Pass on what a boot.py prints, up to its end."""
        printed, found, rest = data.partition(READY)
        if found:
            self._booting = None
            self.from_board(printed)
            self._enter(rest)
            return
        start = data.rfind(b"\0")
        may_be_ready = start >= 0 and READY.startswith(data[start:])
        self._booting = data[start:] if may_be_ready else b""
        if printed := data[:start] if may_be_ready else data:
            self.from_board(printed)

    def _restart(self) -> None:
        """Do a soft reset, or a hard one where MicroPython did not end by itself."""
        status = self._bury()
        while self._take_output():
            pass
        if not self.starts_again():
            raise _GoneError("it is dead")
        soft = status >= 0
        # Ctrl-D there, or a program or a boot.py that wanted it
        raw = soft and (self._tail.endswith((b"OK\r\n", b"\x04\x04")) or (self._booting is not None and self._raw))
        if soft:
            self.to_host(SOFT_RESET)
        else:
            self._watchdog = None
            self.up.forget()
        self.down.flush(self.host)
        self._vanish()
        self._inner.forget_input()
        self._inner.make_raw()
        self._boot(raw=raw)

    def _boot(self, *, raw: bool) -> None:
        """Start MicroPython and wait until it is up, in the raw REPL or on the way to its prompt."""
        self._raw, self._booting = raw, None
        self._process = Process(self._inner.slave, self._arguments(raw), self._environment)
        self.up.begin(self._process)
        marker, rest = self._wait_for((READY, BOOTING), b"")
        if marker == READY:
            self._enter(rest)
        else:
            self._booting = b""
            self._take_boot_output(rest)
        self._up_again.set()

    def _enter(self, rest: bytes) -> None:
        """Enter the raw REPL again where the board was in it; ``rest`` is what it has printed since it is up."""
        if self._raw:
            self._inner.write(b"\x01")
            rest = RAW_BANNER + self._wait_for((RAW_BANNER,), rest)[1]
        self._tail = rest[-4:]
        self.from_board(rest)

    def _wait_for(self, endings: tuple[bytes, ...], seen: bytes) -> tuple[bytes, bytes]:
        """Read until one of ``endings``; return it and what came after it."""
        assert self._process is not None  # noqa: S101 - it was just started
        deadline = time.monotonic() + BOOT_TIMEOUT
        while not (found := [ending for ending in endings if ending in seen]):
            reads: list[int | socket.socket] = [self._wake, self._process.life, self._inner.master]
            can_read, _, _ = select.select(reads, [], [], max(0.0, deadline - time.monotonic()))
            if self._closing:
                raise _GoneError("it was closed")
            data = self._inner.read(PIECE)
            seen += data
            failed = READY in endings and READY not in seen and b">>> " in seen  # a traceback, and then the prompt
            if failed or not can_read or (self._process.life in can_read and not data):
                raise _GoneError(seen.decode(errors="replace").strip()[-500:] or "it said nothing")
        ending = min(found, key=seen.index)
        return ending, seen.partition(ending)[2]

    def _bury(self) -> int:
        """End MicroPython if it has not ended, and return its status."""
        process, self._process, self.up.process = self._process, None, None
        return 0 if process is None else process.bury(0.0 if self._closing else STOP_TIMEOUT)


class _GoneError(Exception):
    """This board will not come up again."""
