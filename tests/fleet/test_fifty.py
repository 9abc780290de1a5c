"""Fifty boards of mixed kinds, seven of them faulty: results, processes, memory, and a run that is killed halfway.

How long this takes is measured in ``benchmarks/fleet.py``.
"""

import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.board.boards import ARMV7EMSP, SIZE, coded, firmware, held, mpy, options, put
from tests.board.faulty import FaultyBoard
from tests.fleet.support import (
    changes,
    children,
    command,
    faulty_boards,
    is_gone,
    lines,
    needs_proc,
    port_options,
    romfs_flash,
    wait_until,
)

KINDS = ("rp2", "stm32", "esp8266", "alif", "nrf", "esp32", "samd")
GOOD = 43
JOBS = 16
MOST_MEMORY = 40 << 10
"""KiB of a process, at most."""


def image_with(data):
    """Return an image with native code, so that a board can have the wrong processor."""
    return coded({"app.mpy": mpy(arch=ARMV7EMSP), "data.bin": data})


FIRST, SECOND = image_with(bytes(range(256)) * 50), image_with(bytes(range(255, -1, -1)) * 50)


@pytest.fixture(scope="module")
def fifty():
    """Return the good boards, and the ports of the faulty ones by the reasons why they cannot be written."""
    with ExitStack() as stack:
        faulty = stack.enter_context(faulty_boards(ARMV7EMSP, 3, SIZE))
        kinds = (KINDS[number % len(KINDS)] for number in range(GOOD))
        good = [stack.enter_context(FaultyBoard(options(kind), firmware(ARMV7EMSP))) for kind in kinds]
        yield good, faulty


def ports_of(fifty):
    """Return the ports of all boards, that of the dead one first: nothing takes as long as to give it up."""
    good, faulty = fifty
    return port_options([*reversed(faulty.values()), *(board.port for board in good)])


class Watcher(threading.Thread):
    """Notes the processes that a command starts while it runs: how many at once, and the most memory of each in KiB."""

    def __init__(self, process):
        super().__init__()
        self.peaks, self.most_at_once = {}, 0
        self._process = process

    def run(self):
        while self._process.poll() is None:
            workers = children(self._process.pid)
            self.most_at_once = max(self.most_at_once, len(workers))
            for pid in workers:
                try:
                    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                except OSError:
                    continue
                if "VmHWM" in fields:
                    self.peaks[pid] = int(fields["VmHWM"].split()[0])
            time.sleep(0.05)


@needs_proc
def test_forty_three_boards_are_verified_and_seven_fail_with_a_reason(fifty, tmp_path):
    good, faulty = fifty
    report = tmp_path / "report.jsonl"
    image = put(tmp_path / "app.romfs", FIRST)
    arguments = command(image, *ports_of(fifty), "--report", report, "--jobs", JOBS)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watcher = Watcher(process)
        watcher.start()
        out, err = process.communicate(timeout=240)
        watcher.join()
    assert process.returncode == 6, err  # the highest: a block does not keep what is written
    assert out.splitlines()[-1] == "50 boards: 43 verified, 7 failed"
    assert len(watcher.peaks) == 50
    assert watcher.most_at_once == JOBS
    assert max(watcher.peaks.values()) < MOST_MEMORY
    assert all(map(is_gone, watcher.peaks))
    found = {line["port"]: line for line in lines(report)}
    assert len(found) == len(lines(report)) == 50
    for board in good:
        assert held(board).startswith(FIRST)
        assert board.violations == ()
        line = found[board.port]
        assert (line["result"], line["reason"], line["bytes"]) == ("verified", "", len(FIRST))
        assert line["blocks"] == 4
        assert line["seconds"] > 0
        assert len(line["unique_id"]) == 16
    for reason, port in faulty.items():
        assert found[port]["result"] == "failed"
        assert reason in found[port]["reason"]
        assert f"{port}: " not in found[port]["reason"]  # the line names it already


@needs_proc
def test_a_run_that_is_killed_halfway_leaves_no_process_and_flashes_no_board_twice(fifty, tmp_path):
    good, _ = fifty
    for board in good:
        board.prepare()
    report = tmp_path / "report.jsonl"
    arguments = [put(tmp_path / "app.romfs", SECOND), *ports_of(fifty), "--report", report, "--jobs", JOBS]
    with subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: report.exists() and report.read_text().count('"verified"') >= GOOD // 2)
        workers = children(process.pid)
        process.kill()
    wait_until(lambda: all(map(is_gone, workers)))
    verified = {line["port"] for line in lines(report) if line["result"] == "verified"}
    assert GOOD // 2 <= len(verified) < GOOD
    before = {board.port: changes(board) for board in good}
    started = {port for port, count in before.items() if count}
    assert started >= verified
    assert len(started - verified) <= JOBS
    assert len(started) < GOOD

    again = romfs_flash(*arguments)
    counts = f"{GOOD - len(verified)} verified, {len(verified)} done already, 7 failed"
    assert again.stdout.splitlines()[-1] == f"50 boards: {counts}"
    once = {board.options.port: before[board.port] for board in good if board.port in verified}
    assert once.keys() == set(KINDS)
    for board in good:
        assert held(board).startswith(SECOND)
        if board.port not in started - verified:
            assert changes(board) == once[board.options.port]
    results = [line["port"] for line in lines(report) if line["result"] == "verified"]
    assert sorted(results) == sorted(board.port for board in good)
