"""Entries of reports, the command in a process of its own, the processes that it starts, and boards that fail."""

import json
import os
import pty
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hatch_romfs.fleet.report import Entry
from hatch_romfs.sim.board import SimOptions
from tests import judges
from tests.board.boards import firmware
from tests.board.faulty import NO_FAULTS, Faults, FaultyBoard, Stuck

ENTRY = Entry(
    time="2026-11-25T20:00:00Z",
    port="/dev/ttyACM0",
    serial_number="E6614C311B7E6F35",
    unique_id="e6614c311b7e6f35",
    machine="Raspberry Pi Pico with RP2040",
    firmware="1.27.0",
    image="app",
    version="1.0.0",
    sha256="ab" * 32,
    partition=0,
    blocks=4,
    bytes=14_000,
    seconds=1.25,
    retries=0,
    result="verified",
)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")


def command(*arguments: object) -> list[str]:
    return [judges.command("romfs-flash"), *map(str, arguments)]


def romfs_flash(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def lines(report: Path) -> list[dict[str, Any]]:
    """Return the lines of a report, read without our reader."""
    text = report.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def port_options(names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--port", name)]


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def changes(board: FaultyBoard) -> int:
    """Return how many times flash was erased or written; questions about a partition do not count."""
    return sum(operation.length > 0 for operation in board.operations)


@contextmanager
def faulty_boards(arch: int, other_arch: int, size: int) -> Iterator[dict[str, str]]:
    """Yield seven ports at which writing fails, by what the reason contains.

    The boards have partitions of ``size`` bytes and firmware for ``arch``, one of them for ``other_arch``.
    """
    with ExitStack() as stack:

        def port(kind: str = "rp2", faults: Faults = NO_FAULTS, *, size: int = size, arch: int = arch) -> str:
            faults = replace(faults, mpy=firmware(arch).mpy)
            return stack.enter_context(FaultyBoard(SimOptions(port=kind, size=size), faults)).port

        master, slave = pty.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        yield {
            "does not keep what is written": port(faults=Faults(stuck=Stuck(5000, 0x55))),
            "the link was lost": port("stm32", Faults(cut_after=4000)),
            "has ROMFS, but no partition for it": port("none"),
            "more than partition 0 holds": port(size=8192),
            "is read-only": port("qemu"),
            "app.mpy is ": port(arch=other_arch),
            "could not enter the raw REPL": os.ttyname(slave),  # nobody answers
        }
