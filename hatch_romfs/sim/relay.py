"""What keeps a simulated board going: its MicroPython, two lines, and the thread that passes bytes between them.

MicroPython's unix port is no board yet: it ends at a soft reset, and in raw-paste mode it does not see a Ctrl-C. So it
gets a line of its own, the host another, and the thread in between does what hardware and firmware would: starts it
again, enters the raw REPL again, turns a Ctrl-C into an interrupt while a program runs, and resets the board when its
watchdog is not fed. Linux tells whether a program runs; elsewhere a Ctrl-C reaches prompts only.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING

from hatch_romfs.errors import RomfsError
from hatch_romfs.sim.process import STOP_TIMEOUT, Process
from hatch_romfs.sim.wire import PIECE, Delay, Line, Pace, Wire

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
RAW_PASTE = b"\x05A\x01"
"""What starts raw-paste mode."""
PASTE_ABORT = b"\n)\x04"
"""What ends raw-paste mode with code that does not compile, as a board's Ctrl-C does."""
BOOT_TIMEOUT = 20.0
"""Seconds in which MicroPython must be up."""

_DOWN_ROOM = 4096
_PACED_DOWN_ROOM = 64  # what a UART takes before a program that prints has to wait
_UP_ROOM = 1 << 20  # so much that a Ctrl-C behind a flood of bytes is still seen
_SETTLE = 0.1  # seconds in which a program that goes on after an interrupt has surely seen it
_HIDDEN = 0.02  # seconds in which the system moves bytes to the other end of a terminal
_GRACE = 1.0  # seconds that a full ring waits for a MicroPython that may be about to read
_POLL = 0.002


class Relay:
    """A board that runs: ``name`` is its port, ``sent`` and ``received`` count the host's bytes up and down the wire.

    ``arguments`` returns MicroPython's for a start that will enter the raw REPL, or not. ``home`` is a folder for what
    the board tells the relay, and for the name of a port that disappears at times. ``dropped`` counts the bytes that
    did not fit into the ring.
    """

    def __init__(
        self,
        arguments: Callable[[bool], Sequence[str]],
        environment: Mapping[str, str],
        home: Path,
        wire: Wire,
    ) -> None:
        self._arguments, self._environment = arguments, environment
        self.sent = self.received = self.dropped = 0
        self.failure: str | None = None
        self._wire = wire
        self._symlink = home / "port" if wire.vanish else None
        self.host: Line | None = None
        self.name = self._open_port()
        self._inner = Line()
        os.mkfifo(control := home / "control")
        self._control = os.open(control, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._arrived, self._up, self._down, self._tail = bytearray(), bytearray(), bytearray(), b""
        self._ready_to_host = b""
        self._up_pace, self._down_pace, self._delay = Pace(wire.baud), Pace(wire.baud), Delay(wire.latency)
        self._is_direct = not wire.baud and not wire.latency
        self._booting: bytes | None = None
        self._raw = False
        self._interrupted = 0.0
        self._passed = (0.0, 0)
        self._full_since: float | None = None
        self._is_busy = self._may_drop = self._pastes = False
        self._recent = b""
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
        self.to_board(data)

    def from_board(self, data: bytes) -> None:
        """Take bytes that the board sent."""
        self.to_host(data)

    def starts_again(self) -> bool:
        """Tell whether MicroPython, which has ended, starts again."""
        return True

    # The way up

    def to_board(self, data: bytes) -> None:
        """Pass bytes on; 0x03 interrupts where a program runs, and is not passed on then."""
        self.sent += len(data)
        self._arrived += data
        self._sort()

    def _sort(self) -> None:
        """Pass on what has arrived, up to an interrupt that has to wait."""
        while self._arrived:
            plain, found, rest = self._arrived.partition(b"\x03")
            self._fill(plain)
            self._arrived = found + rest
            if found:
                if self._must_settle():
                    return
                if not self._interrupt():
                    self._fill(PASTE_ABORT if self._pastes else found)
                self._arrived = rest

    def _fill(self, data: bytes | bytearray) -> None:
        """Put bytes into the ring, and drop what does not fit."""
        self._follow_paste(data)
        if self._may_drop:
            room = max(0, self._wire.ring - self.waiting())
            self.dropped += max(0, len(data) - room)
            data = data[:room]
        self._up += data

    def _follow_paste(self, data: bytes | bytearray) -> None:
        """Keep track of whether MicroPython is in raw-paste mode, where the unix port takes a Ctrl-C for code."""
        recent = self._recent + bytes(data)
        self._recent = recent[-2:]
        if self._pastes:
            self._pastes = b"\x04" not in data
        elif RAW_PASTE in recent and not self.is_running():
            self._pastes = b"\x04" not in recent.partition(RAW_PASTE)[2]

    def waiting(self) -> int:
        """Return how many bytes MicroPython has yet to read."""
        return self._inner.unread() + len(self._up)

    def _pass_up(self) -> None:
        """Move bytes from the ring to MicroPython's input."""
        count = self._inner.write(self._up)
        del self._up[:count]
        self._passed = (time.monotonic(), count + self._just_passed())

    def _just_passed(self) -> int:
        """Return how many bytes the system may still be moving to where they count as unread, if nobody reads."""
        at, count = self._passed
        reads = self._process is None or not (self._process.is_computing() or self._process.is_sleeping())
        return 0 if reads or time.monotonic() > at + _HIDDEN else count

    def _intake(self) -> int:
        """Return how many bytes may be taken from the host now."""
        if len(self._arrived) + len(self._up) >= _UP_ROOM:
            return 0
        allowed = self._up_pace.allowed()
        self._may_drop = self._is_busy
        if not self._wire.ring or not allowed or self._is_busy:
            return allowed
        if self._arrived:
            return 0
        room = self._wire.ring - max(self.waiting(), self._just_passed())
        if room > 0:
            self._full_since = None
            return min(allowed, room)
        # The buffer is full because a program sleeps or computes, or because this machine has not let MicroPython run,
        # which happens to no board.
        self._full_since = self._full_since or time.monotonic()
        sleeps = self._process is not None and self._process.is_sleeping()
        self._may_drop = sleeps or time.monotonic() >= self._full_since + _GRACE
        return allowed if self._may_drop else 0

    def is_running(self) -> bool:
        """Tell whether a program runs now, so that a Ctrl-C would interrupt it; False where that cannot be told."""
        return self._process is not None and self._process.is_running()

    def _must_settle(self) -> bool:
        """Tell whether an interrupt may still be on its way: at a second one the unix port, unlike a board, exits."""
        return time.monotonic() < self._interrupted + _SETTLE and self.is_running()

    def _interrupt(self) -> bool:
        """Interrupt the program, and tell whether there was one."""
        if self._process is None or not self._process.interrupt():
            return False
        self._interrupted = time.monotonic()
        return True

    # The way down

    def to_host(self, data: bytes) -> None:
        """Pass bytes on."""
        self._down += data

    def _flush(self) -> None:
        """Move bytes towards the host as far as the line allows."""
        if self.host is None:
            self._down.clear()
            self._ready_to_host = b""
            return
        if self._is_direct:
            count = self.host.write(self._down)
            del self._down[:count]
        else:
            if not self._down:
                self._down_pace.rest()
            elif len(self._ready_to_host) < _DOWN_ROOM and (passing := self._down_pace.allowed(len(self._down))):
                self._down_pace.spend(passing)
                self._delay.put(bytes(self._down[:passing]))
                del self._down[:passing]
            self._ready_to_host += self._delay.take()
            count = self.host.write(self._ready_to_host) if self._ready_to_host else 0
            self._ready_to_host = self._ready_to_host[count:]
        self.received += count

    def cut(self) -> None:
        """Close the host's port for good."""
        if self.host is not None:
            self.host.close()
            self.host = None
        self._returns_at = None

    def _open_port(self) -> str:
        """Open the port, and return its name."""
        line = Line()
        if self._symlink is not None:
            self._symlink.symlink_to(line.name)
        self.host = line  # others take it for open from here on
        return str(self._symlink or line.name)

    def _vanish(self) -> None:
        """Let the port disappear for a while."""
        if self._symlink is not None and self.host is not None:
            self._symlink.unlink()
            self.cut()
            self._returns_at = time.monotonic() + self._wire.vanish

    # The thread

    def kill(self) -> None:
        """End MicroPython at once; it starts again as after a power-on, and what was on its way up is lost."""
        self._forget()
        if self._process is not None:
            self._process.kill()

    def _forget(self) -> None:
        self._arrived.clear()
        self._up.clear()

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
        held = self._booting is not None and self._raw
        writes = [self._inner.master] if self._up and not held else []
        if len(self._down) < (_PACED_DOWN_ROOM if self._wire.baud else _DOWN_ROOM):
            reads.append(self._inner.master)
        taken = self._intake() if self.host is not None else 0
        if self.host is not None:
            reads += [self.host.master] if taken else []
            writes += [self.host.master] if (self._down if self._is_direct else self._ready_to_host) else []
        can_read, can_write, _ = select.select(reads, writes, [], self._timeout(taken))
        self._sort()
        if self._control in can_read:
            self._take_control()
        if self._inner.master in can_read:
            self._take_output()
        if self._down or self._ready_to_host or not self._is_direct:
            self._flush()
        if self._inner.master in can_write:
            self._pass_up()
        if self.host is not None and self.host.master in can_read:
            data = self.host.read(taken)
            self._up_pace.spend(len(data))
            self.from_host(data)
        elif taken:
            self._up_pace.rest()
        if self._process.life in can_read:
            self._restart()
        self._keep_time()

    def _timeout(self, taken: int) -> float | None:
        """Return the seconds after which something is to be done in any case, or None."""
        now = time.monotonic()
        waits = [at - now for at in (self._returns_at, self._watchdog) if at is not None]
        if self._arrived or (not taken and self._wire.ring):
            waits.append(_POLL)
        if not taken and (up := self._up_pace.wait()) is not None:
            waits.append(up)
        if not self._is_direct:
            waits += [wait for wait in (self._delay.wait(), self._down_wait()) if wait is not None]
        return max(0.0, min(waits)) if waits else None

    def _down_wait(self) -> float | None:
        return (self._down_pace.wait() or 0.0) if self._down and len(self._ready_to_host) < _DOWN_ROOM else None

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
                self._is_busy = line == b"busy"
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
            self._forget()
        self._flush()
        self._vanish()
        self._inner.forget_input()
        self._inner.make_raw()
        self._boot(raw=raw)

    def _boot(self, *, raw: bool) -> None:
        """Start MicroPython and wait until it is up, in the raw REPL or on the way to its prompt."""
        self._raw, self._booting, self._is_busy, self._pastes = raw, None, False, False
        self._process = Process(self._inner.slave, self._arguments(raw), self._environment)
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
        process, self._process = self._process, None
        return 0 if process is None else process.bury(0.0 if self._closing else STOP_TIMEOUT)


class _GoneError(Exception):
    """This board will not come up again."""
