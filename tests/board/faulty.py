"""A simulated board on which things go wrong, as a test says: flash, wire, power, and what its firmware lacks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from hatch_romfs.sim.relay import RAW_BANNER, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALWAYS = -1


@dataclass(frozen=True, slots=True)
class When:
    """Which of the operations that a fault is about it hits.

    Those that touch the byte ``offset`` of the partition, or all for None; the first ``after`` of them are spared, the
    next ``times`` hit. ``errno`` is what an error returns, or with ``raises`` raises as OSError.
    """

    after: int = 0
    times: int = 1
    offset: int | None = None
    errno: int = 5
    raises: bool = False


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the board right after its operation number ``step`` (erases and writes, from 1), or with ``torn`` in it.

    Then power is gone for good, or with ``restart`` the board comes up again as after a watchdog's reset.
    """

    step: int
    torn: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Stuck:
    """The byte at ``offset`` is ``value`` after every write to it."""

    offset: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong; nothing, unless a field says so."""

    # Flash
    erase_error: When | None = None
    write_error: When | None = None
    drop: When | None = None  # a write does nothing, and says nothing
    flip: When | None = None  # bit 0 of the byte, or of the first byte written, is wrong after a write
    stuck: Stuck | None = None
    hang: When | None = None  # an operation never returns
    kill: Kill | None = None
    # Wire; bytes are counted up the wire, from the board's start
    reset_after: int | None = None  # bytes until the board resets, once
    cut_after: int | None = None  # bytes until the host's port is gone for good; the board runs on
    baud: int | None = None  # pace up the wire, ten bits a byte
    rx_ring: int | None = None  # bytes that a board without flow control keeps; more are lost
    garbage: bytes = b""  # comes down before each banner of the raw REPL
    raw_paste: bytes | None = None  # the answer to a request for raw-paste, such as b"R\0"; b"" knows no such request
    # Firmware
    op6: bool = True
    hide: tuple[str, ...] = ()  # "deflate", "hashlib.sha256", "sys.stdin.buffer" …
    main: str = ""  # source of a main.py, run at each start but a soft reset in the raw REPL
    crlf: bool = False  # text is printed with CR LF, as boards do
    mpy: int | None = None  # what sys.implementation._mpy says


NO_FAULTS = Faults()


class Operation(NamedTuple):
    """An erase or a write of the flash, whatever came of it: ``kind`` is "erase", "write", or "killed"."""

    kind: str
    partition: int
    offset: int
    length: int


class FaultyBoard(SimulatedBoard):
    """A simulated board with faults, which keeps count of what is done to it. Its RAM is ``SimOptions.ram``."""

    start_module = "faults_boot"
    folders = (*SimulatedBoard.folders, Path(__file__).parent)

    def __init__(self, options: SimOptions | None = None, faults: Faults = NO_FAULTS) -> None:
        super().__init__(options)
        self.faults = faults

    @property
    def journal(self) -> Path:
        """The file of its operations since it was plugged in."""
        return Path(f"{self.file}.log")

    @property
    def operations(self) -> list[Operation]:
        """Its operations since it was plugged in, in order."""
        rows = [line.split() for line in self.journal.read_text().splitlines()]
        return [Operation(kind, int(number), int(offset), int(length)) for kind, number, offset, length in rows]

    def count(self, kind: str) -> Counter[int]:
        """Return for each block of partition 0 how many operations of a kind touched it."""
        block = self.options.block
        return Counter(
            number
            for op in self.operations
            if op.kind == kind and op.partition == 0
            for number in range(op.offset // block, -(-(op.offset + op.length) // block))
        )

    @property
    def sent(self) -> int:
        """Bytes up the wire so far."""
        return self.relay.sent

    @property
    def received(self) -> int:
        """Bytes down the wire so far."""
        return self.relay.received

    def flash(self, partition: int = 0) -> bytes:
        """Return what a partition holds."""
        size = self.options.size
        return self.file.read_bytes()[partition * size : (partition + 1) * size]

    def wait_dead(self, timeout: float = 10.0) -> bool:
        """Tell whether the board is dead, or is so within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.relay.failure is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.relay.failure is not None

    def prepare(self) -> None:
        """Forget the operations of boards before it on the same file."""
        self.journal.write_bytes(b"")

    def make_relay(self, root: Path) -> Relay:
        self.prepare()
        return FaultyRelay(self, lambda raw: self.arguments(root, raw=raw), self.environment())

    def config(self, root: Path, *, raw: bool) -> dict[str, object]:
        config = super().config(root, raw=raw)
        if not self.faults.op6 and config["access"] == "ranged":
            config["access"] = "whole"
        faults = asdict(self.faults)
        if self.faults.kill:
            kill = When(after=self.faults.kill.step - 1)
            faults["kill"] = {**asdict(kill), "torn": self.faults.kill.torn}
        for name in ("baud", "rx_ring", "garbage", "raw_paste"):
            del faults[name]
        return {**config, "faults": faults}


class FaultyRelay(Relay):
    """What passes bytes between host and board, badly."""

    def __init__(
        self, board: FaultyBoard, arguments: Callable[[bool], Sequence[str]], environment: Mapping[str, str]
    ) -> None:
        super().__init__(arguments, environment)
        self._board = board
        self._faults = board.faults
        self._rate = (board.faults.baud or 0) / 10
        self._tokens, self._at = 0.0, time.monotonic()
        self._held = b""
        self._was_reset = False

    def intake(self) -> int:
        if not self._rate:
            return super().intake()
        now = time.monotonic()
        most = max(16.0, self._rate / 100)  # what an idle line saves up: 10 ms
        self._tokens, self._at = min(most, self._tokens + (now - self._at) * self._rate), now
        return int(self._tokens)

    def pause(self) -> float | None:
        return 0.002 if self._rate and self._tokens < 1 else None

    def from_host(self, data: bytes) -> None:
        self._tokens -= len(data)
        if self._faults.raw_paste is not None:
            data = self._refuse_raw_paste(data)
        faults = self._faults
        for limit, act in ((faults.reset_after, self._reset_once), (faults.cut_after, self.cut)):
            if limit is not None and self.sent < limit <= self.sent + len(data):
                self._pass_up(data[: limit - self.sent])
                act()
                return
        self._pass_up(data)

    def from_board(self, data: bytes) -> None:
        mark = RAW_BANNER[:8]
        super().from_board(data.replace(mark, self._faults.garbage + mark))

    def starts_again(self) -> bool:
        kill = self._faults.kill
        killed = kill is not None and self._board.journal.read_text().endswith("killed 0 0 0\n")
        return not killed or kill is None or kill.restart

    def _pass_up(self, data: bytes) -> None:
        if self._faults.rx_ring is not None:
            data = data[: max(0, self._faults.rx_ring - self.waiting())]
        self.to_board(data)

    def _reset_once(self) -> None:
        if not self._was_reset:
            self._was_reset = True
            self.kill()

    def _refuse_raw_paste(self, data: bytes) -> bytes:
        request = b"\x05A\x01"
        data, self._held = self._held + data, b""
        if self.is_running():  # this is for the program
            return data
        before, found, after = data.partition(request)
        if found:
            self.to_host(self._faults.raw_paste or b"")
            return before + (b"" if self._faults.raw_paste else b"\x01") + after
        for part in (request[:2], request[:1]):
            if data.endswith(part):
                self._held = part
                return data[: -len(part)]
        return data
