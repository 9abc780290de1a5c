"""The host's side of a simulated board's line, by mpremote's own code."""

import textwrap
from contextlib import contextmanager
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url
from tests.board.faulty import Faults, FaultyBoard

SMALL = "size=64K"
BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class Host(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """mpremote's own side of the line, in the raw REPL."""

    def __init__(self, port: str):
        super().__init__(port, timeout=5)

    def until(self, ending: bytes) -> bytes:
        data: bytes = self.serial.read_until(ending)
        assert data.endswith(ending), data
        return data

    def say(self, code: str) -> str:
        return str(self.exec(textwrap.dedent(code)), "utf-8").strip()


@contextmanager
def host_of(board: SimulatedBoard, *, raw: bool = True):
    host = Host(board.port)
    try:
        if raw:
            host.enter_raw_repl(soft_reset=False)
        yield host
    finally:
        host.serial.close()


@contextmanager
def running(url: str = "", faults: Faults | None = None, *, raw: bool = True):
    """Yield a board, and a host that is in its raw REPL."""
    options = parse_sim_url(f"sim:{url or '?' + SMALL}")
    board = SimulatedBoard(options) if faults is None else FaultyBoard(options, faults)
    with board, host_of(board, raw=raw) as host:
        yield board, host


def children(pid: int) -> list[str]:
    """Return the processes that a process has started."""
    return [
        number for task in Path(f"/proc/{pid}/task").iterdir() for number in (task / "children").read_text().split()
    ]
