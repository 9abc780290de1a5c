"""Processes of boards that hang: each is killed and reported, and those that only wait for their board are not."""

import fcntl
import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hatch_romfs.events import Progress
from hatch_romfs.fleet import crew, report, worker
from hatch_romfs.fleet.messages import Event, Finished, ImageFile, Job
from hatch_romfs.fleet.run import run_jobs
from hatch_romfs.fleet.schedule import Limits
from tests.board.boards import held, image_bytes, options, put
from tests.board.faulty import FaultyBoard
from tests.fleet.support import children, is_gone, lines, needs_proc

IMAGE = image_bytes(3000)
pytestmark = needs_proc


@pytest.fixture
def board():
    """Return what plugs in a board whose flash takes that many milliseconds to erase a block."""
    with ExitStack() as stack:
        yield lambda erase: stack.enter_context(FaultyBoard(options("rp2", erase=erase)))


@pytest.fixture
def job(tmp_path):
    """Return what makes the job of a board."""
    file = ImageFile(str(put(tmp_path / "app.romfs", IMAGE)), "app", None, "ab" * 32, len(IMAGE))
    return lambda board: Job(board.port, file, report=str(tmp_path / "report.jsonl"))


def worker_of(board):
    """Return the process of this one that has opened the port of a board."""
    terminal = os.path.realpath(board.port)
    workers = [pid for pid in children(os.getpid()) if b"fleet.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    (found,) = [
        pid for pid in workers if any(os.path.realpath(file) == terminal for file in Path(f"/proc/{pid}/fd").iterdir())
    ]
    return found


def test_a_worker_that_hangs_is_killed_after_an_interrupt_and_is_in_the_report(board, job, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 1.0)
    slow = board(300)
    stopped: list[int] = []
    events = []

    def interrupt(_number, event):
        events.append(event)
        if isinstance(event, Progress) and not stopped:
            stopped.append(worker_of(slow))
            os.kill(stopped[0], signal.SIGSTOP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([job(slow)], Limits(), interrupt)
    assert all(map(is_gone, stopped))
    assert events[-1].reason == "the process of this board was killed by signal 9"
    (line,) = lines(tmp_path / "report.jsonl")
    assert (line["result"], line["unique_id"]) == ("failed", events[-1].entry["unique_id"])


def test_a_worker_that_hangs_is_killed_and_one_that_waits_for_its_board_is_not(board, job, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "SILENCE", 3.0)
    hanging, slow = board(0), board(6000)  # which is longer than the silence that is allowed
    stopped: list[int] = []

    def stop(number, event):
        if number == 0 and isinstance(event, Progress) and not stopped:
            stopped.append(worker_of(hanging))
            os.kill(stopped[0], signal.SIGSTOP)

    hung, verified = run_jobs([job(hanging), job(slow)], Limits(), stop)
    assert all(map(is_gone, stopped))
    assert (hung.result, hung.status) == ("failed", 4)
    assert hung.reason == "the process of this board gave no sign of life for 3 seconds and was killed"
    assert hung.hint.startswith("Unplug the board")
    assert verified.result == "verified"
    assert held(slow).startswith(IMAGE)
    found = {line["port"]: line for line in lines(tmp_path / "report.jsonl")}
    assert found[hanging.port]["reason"] == hung.reason
    assert found[hanging.port]["unique_id"]
    assert found[slow.port]["result"] == "verified"


@pytest.fixture
def untaken(board, job, monkeypatch):
    """Return a job that a process hangs before it takes it."""
    monkeypatch.setattr(crew, "_START", "import time; time.sleep(600)")
    yield replace(job(board(0)), done=tuple(f"{number:016x}" for number in range(20_000)))  # more than a pipe holds
    assert not any(b"time.sleep(600)" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(os.getpid()))


def test_a_process_that_hangs_before_it_takes_its_job_is_killed_too(untaken, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "SILENCE", 1.0)
    (result,) = run_jobs([untaken], Limits(), lambda _number, _event: None)
    assert (result.result, result.status) == ("failed", 4)
    assert "gave no sign of life" in result.reason
    assert [line["result"] for line in lines(tmp_path / "report.jsonl")] == ["failed"]


def test_an_interrupt_does_not_wait_for_a_process_that_has_not_taken_its_job(untaken, monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 600.0)
    with crew.Crew() as workers:
        workers.start(0, untaken)
    assert workers.running == 0


def test_time_in_which_the_command_itself_is_stopped_does_not_count(board, job, monkeypatch):
    monkeypatch.setattr(crew, "SILENCE", 2.0)
    only = board(0)
    stopped: list[int] = []

    def stop_both(_number, event):
        if isinstance(event, Progress) and not stopped:
            stopped.append(worker_of(only))
            os.kill(stopped[0], signal.SIGSTOP)
            time.sleep(3)
            os.kill(stopped[0], signal.SIGCONT)

    (result,) = run_jobs([job(only)], Limits(), stop_both)
    assert stopped
    assert result.result == "verified"


def test_a_report_that_stays_locked_is_waited_for_once_and_is_the_reason(board, job, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LOCK_TIMEOUT", 0.2)
    attempts: list[str] = []
    events: list[Event] = []

    def append(path, entry):
        attempts.append(entry.result)
        report.append(path, entry)

    monkeypatch.setattr(worker, "append", append)
    only = board(0)
    path = tmp_path / "report.jsonl"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        worker.do(job(only), events.append)
        assert path.read_bytes() == b""
    assert attempts == ["verified"]
    assert isinstance(events[-1], Finished)
    assert events[-1][:4] == (
        "failed",
        1,
        f"{path}: the line cannot be written: another program keeps it locked; end that program",
        "",
    )
