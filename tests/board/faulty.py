"""A simulated board on which things go wrong, as a test says: flash, wire, power, and what its firmware lacks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from hatch_romfs.sim.relay import RAW_BANNER, Relay

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
    """Kill the board right after its operation number ``step`` (erases and writes, from 1), or in the middle of it.

    What has taken effect then: the first ``front`` bytes, the last ``back`` bytes, random ``words`` of 4 bytes, or
    random ``bits``, both with that seed; ``torn`` is the first half. Power is gone for good, or with ``restart`` the
    board comes up again as after a watchdog's reset.
    """

    step: int
    torn: bool = False
    restart: bool = False
    front: int | None = None
    back: int | None = None
    words: int | None = None
    bits: int | None = None


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
    # Wire; bytes are counted up or down the wire, from the board's start
    reset_after: int | None = None  # bytes until the board resets, once
    cut_after: int | None = None  # bytes until the host's port is gone for good; the board runs on
    lose_at: int | None = None  # the number, from 0, of a byte that is lost; likewise for the others here
    flip_at: int | None = None  # bit 0 of it is wrong
    lose_down_at: int | None = None
    flip_down_at: int | None = None
    baud: int | None = None  # the same as SimOptions.baud
    rx_ring: int | None = None  # the same as SimOptions.ring
    garbage: bytes = b""  # comes down before each banner of the raw REPL
    raw_paste: bytes | None = None  # the answer to a request for raw-paste, such as b"R\0"; b"" knows no such request
    # Firmware
    op6: bool = True
    hide: tuple[str, ...] = ()  # "deflate", "hashlib.sha256", "sys.stdin.buffer" …
    boot: str = ""  # source of a boot.py, run at each start
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
        options = options or SimOptions()
        wire = {"baud": faults.baud or options.baud, "ring": faults.rx_ring or options.ring}
        super().__init__(replace(options, **wire))
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
        return self.relay.up.sent

    @property
    def received(self) -> int:
        """Bytes down the wire so far."""
        return self.relay.down.received

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

    def make_relay(self, home: Path, root: Path) -> Relay:
        self.prepare()
        for name, source in (("boot.py", self.faults.boot), ("main.py", self.faults.main)):
            if source:
                (root / name).write_text(source)
        return FaultyRelay(self, lambda raw: self.arguments(home, root, raw=raw), self.environment(), home, self.wire())

    def config(self, home: Path, root: Path, *, raw: bool) -> dict[str, object]:
        config = super().config(home, root, raw=raw)
        if not self.faults.op6 and config["access"] == "ranged":
            config["access"] = "whole"
        faults = asdict(self.faults)
        if self.faults.kill:
            faults["kill"] = asdict(self.faults.kill) | asdict(When(after=self.faults.kill.step - 1))
        board_side = ("erase_error", "write_error", "drop", "flip", "stuck", "hang", "kill", "hide", "crlf", "mpy")
        return {**config, "faults": {name: faults[name] for name in board_side}}


class FaultyRelay(Relay):
    """What passes bytes between host and board, badly."""

    def __init__(self, board: FaultyBoard, *options: Any) -> None:
        super().__init__(*options)
        self._board = board
        self._faults = board.faults
        self._from_host = self._from_board = 0  # bytes so far, with those that are lost
        self._held = b""
        self._was_reset = False

    def from_host(self, data: bytes) -> None:
        faults = self._faults
        at, self._from_host = self._from_host, self._from_host + len(data)
        self.up.sent += faults.lose_at in range(at, self._from_host)
        data = spoilt(data, at, lose=faults.lose_at, flip=faults.flip_at)
        if faults.raw_paste is not None:
            data = self._refuse_raw_paste(data)
        for limit, act in ((faults.reset_after, self._reset_once), (faults.cut_after, self.cut)):
            if limit is not None and self.up.sent < limit <= self.up.sent + len(data):
                self.up.put(data[: limit - self.up.sent])
                act()
                return
        self.up.put(data)

    def to_host(self, data: bytes) -> None:
        faults = self._faults
        at, self._from_board = self._from_board, self._from_board + len(data)
        super().to_host(spoilt(data, at, lose=faults.lose_down_at, flip=faults.flip_down_at))

    def from_board(self, data: bytes) -> None:
        mark = RAW_BANNER[:8]
        super().from_board(data.replace(mark, self._faults.garbage + mark))

    def starts_again(self) -> bool:
        kill = self._faults.kill
        killed = kill is not None and self._board.journal.read_text().endswith("killed 0 0 0\n")
        return not killed or kill is None or kill.restart

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


def spoilt(data: bytes, start: int, *, lose: int | None, flip: int | None) -> bytes:
    """Return bytes of which the first has the number ``start`` as a bad wire passes them on."""
    if flip is not None and 0 <= (at := flip - start) < len(data):
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    if lose is not None and 0 <= (at := lose - start) < len(data):
        data = data[:at] + data[at + 1 :]
    return data
