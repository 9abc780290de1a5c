"""Many boards at once: each succeeds or fails by itself, nothing is done twice, and no process stays behind."""

import json
import os
import signal
import subprocess
from contextlib import ExitStack

import pytest

from tests.board.boards import ARMV7EMSP, coded, firmware, image_bytes, mpy, options, put
from tests.board.faulty import Faults, FaultyBoard, Kill
from tests.fleet.support import (
    changes,
    children,
    command,
    is_gone,
    lines,
    needs_proc,
    port_options,
    romfs_flash,
    wait_until,
)

IMAGE = coded({"app.mpy": mpy(arch=ARMV7EMSP), "data.bin": bytes(range(256)) * 50})
"""An image with native code, so that a board can have the wrong processor."""
GOOD = firmware(ARMV7EMSP)


@pytest.fixture
def boards():
    """Return what plugs a board in."""
    with ExitStack() as stack:
        yield lambda port="rp2", faults=GOOD, **more: stack.enter_context(FaultyBoard(options(port, **more), faults))


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "app.romfs", IMAGE)


def ports(*boards):
    return port_options(board.port for board in boards)


def test_a_second_run_skips_the_boards_that_are_done(boards, image, tmp_path):
    report = tmp_path / "report.jsonl"
    one, other = boards(), boards("stm32")
    assert romfs_flash(image, *ports(one), "--report", report).returncode == 0
    before = len(one.operations)
    again = romfs_flash(image, *ports(one, other), "--report", report)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == "2 boards: 1 verified, 1 done already"
    assert len(one.operations) == before
    assert len(lines(report)) == 2
    full = romfs_flash(image, *ports(one, other), "--report", report, "--full", "--json")
    assert json.loads(full.stdout)["verified"] == 2
    assert len(one.operations) > before
    changed = put(tmp_path / "new.romfs", image_bytes(14_000, 2))
    assert "2 verified" in romfs_flash(changed, *ports(one, other), "--report", report).stdout


def test_canaries_come_first_and_failures_stop_the_rest(boards, image):
    bad, good = boards("qemu"), boards()
    done = romfs_flash(image, *ports(bad, good), "--canary", 1)
    assert done.returncode == 5
    assert done.stdout.splitlines()[-1] == "2 boards: 0 verified, 1 failed, 1 not started"
    assert good.operations == []
    stopped = romfs_flash(image, *ports(bad, good), "--jobs", 1, "--stop-after", 1, "--json")
    assert stopped.returncode == 5
    document = json.loads(stopped.stdout)
    assert [board["result"] for board in document["boards"]] == ["failed", "not started"]
    assert document["boards"][0]["hint"].startswith("This port cannot write")
    assert good.operations == []


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_worker_in_good_order(boards, image, tmp_path, number):
    report = tmp_path / "report.jsonl"
    several, waiting = [boards(port, erase=300) for port in ("rp2", "stm32")], boards()
    arguments = command(image, *ports(*several, waiting), "--report", report, "--jobs", 2)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: all(map(changes, several)))
        workers = children(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert all(map(is_gone, workers))
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert err.endswith("interrupted\n")
        assert out.count("failed: interrupted: partition 0 holds") == 2
        assert out.splitlines()[-1] == "3 boards: 0 verified, 2 failed, 1 not started"
    assert [line["reason"].split(":")[0] for line in lines(report)] == ["interrupted"] * 2
    assert waiting.operations == []
    assert romfs_flash(image, *ports(*several)).returncode == 0  # the boards were left at work


def test_a_worker_that_crashes_is_the_failure_of_one_board(boards, image, tmp_path):
    report = tmp_path / "report.jsonl"
    slow, good = boards("rp2", erase=300), boards()
    arguments = command(image, *ports(slow, good), "--report", report)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: changes(slow) and len(children(process.pid)) == 1)
        os.kill(children(process.pid).pop(), signal.SIGKILL)
        out = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "the process of this board was killed by signal 9" in out
    assert {line["port"]: line["result"] for line in lines(report)} == {slow.port: "failed", good.port: "verified"}


def test_a_board_that_loses_power_is_not_the_others_problem(boards, image):
    dying, good = boards("stm32", Faults(mpy=GOOD.mpy, kill=Kill(3))), boards()
    done = romfs_flash(image, *ports(dying, good), "--json")
    document = json.loads(done.stdout)
    assert [board["result"] for board in document["boards"]] == ["failed", "verified"]
    assert done.returncode == 4
