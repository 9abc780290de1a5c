"""The report keeps every line whole: with processes that are killed, that write at once, and on a full disk."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from hatch_romfs import BuildError, SettingsError
from hatch_romfs.fleet.report import append, check_report, decode, done, from_document, latest, read_report
from tests import judges
from tests.fleet.support import ENTRY, lines, romfs_flash

KEYS = [
    *("time", "port", "serial_number", "unique_id", "machine", "firmware", "image", "version", "sha256", "partition"),
    *("blocks", "bytes", "seconds", "retries", "result", "reason"),
]
FAILED = replace(ENTRY, result="failed", reason="block 3 does not keep what is written")


@pytest.fixture
def report(tmp_path):
    return tmp_path / "report.jsonl"


def test_a_line_has_every_key(report):
    append(report, ENTRY)
    append(report, FAILED)
    assert [list(line) for line in lines(report)] == [KEYS, KEYS]
    assert read_report(report) == [ENTRY, FAILED]


def test_a_torn_last_line_is_ignored_and_then_removed(report):
    append(report, ENTRY)
    whole = report.read_bytes()
    for cut in range(1, len(whole) - 1):
        report.write_bytes(whole + whole[:cut])
        assert read_report(report) == [ENTRY]
        append(report, FAILED)
        assert read_report(report) == [ENTRY, FAILED]
        assert len(lines(report)) == 2


def test_only_the_newline_of_the_last_line_is_missing(report):
    append(report, ENTRY)
    report.write_bytes(report.read_bytes()[:-1])
    assert read_report(report) == [ENTRY]
    append(report, FAILED)
    assert read_report(report) == [ENTRY, FAILED]


@pytest.mark.parametrize("change", [{"seconds": float("nan")}, {"seconds": float("inf")}, {"blocks": True}])
def test_numbers_that_others_cannot_read_are_not_a_line(change):
    assert from_document(asdict(ENTRY)) == ENTRY
    assert from_document(asdict(ENTRY) | change) is None


@pytest.mark.parametrize("content", [b"notes", b"notes\n", b"{}\n", b'{"time": 1}\n', b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_not_a_report_stays_as_it_is(report, content):
    report.write_bytes(content)
    with pytest.raises(SettingsError, match="report.jsonl:1: not a line of a report"):
        check_report(report)
    assert report.read_bytes() == content
    if not content.endswith(b"\n"):
        with pytest.raises(SettingsError, match="the last line is not one of a report"):
            append(report, ENTRY)
        assert report.read_bytes() == content


def test_where_a_report_cannot_be(tmp_path):
    for path in (tmp_path, tmp_path / "missing/report.jsonl"):
        with pytest.raises(SettingsError, match="--report"):
            check_report(path)


def test_keys_of_a_newer_release_are_ignored(report):
    append(report, ENTRY)
    document = json.loads(report.read_text())
    assert decode(json.dumps(document | {"operator": "Ada"}).encode()) == ENTRY
    assert decode(json.dumps(document | {"partition": "0"}).encode()) is None
    assert decode(json.dumps(document | {"result": "maybe"}).encode()) is None


KILLING = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
from hatch_romfs.fleet.report import append
from tests.fleet.support import ENTRY
report, confirmed = Path(sys.argv[1]), 0
random.seed(1)
for point in range(100):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        for number in range(1000):
            append(report, replace(ENTRY, reason=f"{point} {number} {'x' * 500}"))
            os.write(writing, b".")
    os.close(writing)
    os.read(reading, 1)
    time.sleep(random.random() / 200)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    confirmed += 1
    while data := os.read(reading, 65536):
        confirmed += len(data)
    os.close(reading)
print(confirmed)
"""


def run_script(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=judges.REPO)


def test_a_hundred_kills_lose_and_tear_no_line(report):
    with run_script(KILLING, report) as process:
        confirmed = int(process.communicate(timeout=240)[0])
    found = [line["reason"].split() for line in lines(report)]
    numbers = {point: [int(number) for at, number, _ in found if int(at) == point] for point in range(100)}
    assert all(of_point == list(range(len(of_point))) for of_point in numbers.values())
    # A line that was written may not have been confirmed yet; none that was confirmed is missing.
    assert confirmed <= len(found) <= confirmed + 100


APPENDING = """
import sys
from dataclasses import replace
from pathlib import Path
from hatch_romfs.fleet.report import append
from tests.fleet.support import ENTRY
for number in range(100):
    append(Path(sys.argv[1]), replace(ENTRY, reason=f"{sys.argv[2]} {number} {'x' * 1500}"))
"""


def test_two_processes_append_at_once(report):
    processes = [run_script(APPENDING, report, name) for name in ("a", "b")]
    for process in processes:
        process.communicate(timeout=240)
        assert process.returncode == 0
    found = [line["reason"].split()[:2] for line in lines(report)]
    for name in ("a", "b"):
        assert [int(number) for one, number in found if one == name] == list(range(100))


FULL = """
import resource, sys
from pathlib import Path
from hatch_romfs.errors import BuildError
from hatch_romfs.fleet.report import append
from tests.fleet.support import ENTRY
path = Path(sys.argv[1])
append(path, ENTRY)
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
try:
    append(path, ENTRY)
except BuildError as error:
    print(error.message)
"""


def test_a_full_disk_leaves_no_part_of_a_line(report):
    with run_script(FULL, report) as process:
        assert process.communicate(timeout=60)[0].endswith("the disk is full\n")
    assert read_report(report) == [ENTRY]
    append(report, FAILED)
    assert len(lines(report)) == 2


def test_an_error_of_the_system_is_reported(tmp_path):
    with pytest.raises(BuildError, match="cannot be written"):
        append(tmp_path / "missing/report.jsonl", ENTRY)


# What it says about boards


OTHER = replace(ENTRY, unique_id="aa", serial_number=None, port="/dev/ttyACM1")


def test_a_board_is_done_if_its_last_result_is_that_it_has_the_image():
    sha256 = ENTRY.sha256
    assert done([ENTRY, OTHER], sha256, 0) == {ENTRY.unique_id, "aa"}
    assert done([ENTRY, OTHER], "cd" * 32, 0) == set()
    assert done([ENTRY], sha256, 1) == set()
    assert done([ENTRY, FAILED], sha256, 0) == set()
    assert done([FAILED, ENTRY], sha256, 0) == {ENTRY.unique_id}
    assert done([ENTRY, replace(ENTRY, sha256="cd" * 32)], sha256, 0) == set()  # it has another image now
    assert done([ENTRY, replace(FAILED, partition=1)], sha256, 0) == {ENTRY.unique_id}
    assert done([replace(ENTRY, unique_id=None)], sha256, 0) == set()


def test_a_board_that_did_not_answer_is_recognized_by_its_serial_number():
    silent = replace(FAILED, unique_id=None)
    assert latest([silent, ENTRY]) == [ENTRY]
    assert latest([ENTRY, silent]) == [silent]
    assert done([ENTRY, silent], ENTRY.sha256, 0) == set()
    unknown = replace(silent, serial_number=None)
    assert latest([unknown, ENTRY]) == [unknown, ENTRY]


def test_the_summary_counts_boards_and_lists_failures(report):
    for entry in (FAILED, ENTRY, replace(OTHER, result="failed", reason="worn")):
        append(report, entry)
    shown = romfs_flash("--summary", report)
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        f"{report}: 2 boards, 1 verified, 1 failed (3 results)",
        "failed 2026-11-25T20:00:00Z /dev/ttyACM1, unique ID aa: worn",
    ]
    document = json.loads(romfs_flash("--summary", report, "--json").stdout)
    assert {name: document[name] for name in ("entries", "boards", "verified", "failed")} == {
        "entries": 3,
        "boards": 2,
        "verified": 1,
        "failed": 1,
    }
    assert [failure["reason"] for failure in document["failures"]] == ["worn"]
    report.write_text("notes\n")
    assert romfs_flash("--summary", report).returncode == 2
