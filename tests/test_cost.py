"""The cost of a build, compared with mpremote as whole processes; the script is in benchmarks/."""

import json
import subprocess
import sys

import pytest

from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.tree import Directory, File, MemoryContent
from tests import judges


@pytest.fixture(scope="module")
def measured():
    """Measure in a process of its own: a child's peak memory is no less than its parent's."""
    judges.command("mpremote")
    command = [sys.executable, "-m", "benchmarks.build", "--json"]
    done = subprocess.run(command, cwd=judges.REPO, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


pytestmark = pytest.mark.timed

ROWS = ["150 modules, cold cache", "150 modules, warm cache", "1,500 modules, warm cache", "a file of 512 MiB"]


@pytest.mark.parametrize("what", ROWS)
def test_a_build_takes_at_most_its_share_of_mpremotes_time(what, measured):
    (row,) = (row for row in measured["rows"] if row["what"] == what)
    assert row["ratio"] <= row["bound"], row


def test_a_large_file_is_streamed(measured):
    assert measured["rows"][-1]["what"] == ROWS[-1]
    assert measured["rows"][-1]["ours"]["memory"] < 64 << 20


@pytest.fixture(scope="module")
def linux():
    judges.command("genromfs")
    judges.command("romfs")
    command = [sys.executable, "-m", "benchmarks.linux", "--json"]
    done = subprocess.run(command, cwd=judges.REPO, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["rows"]


def test_many_files_take_less_time_than_another_packer_takes(linux):
    assert linux[0]["ratio"] <= 0.8, linux[0]


def test_a_large_file_takes_hardly_more_time_than_genromfs_takes(linux):
    assert linux[1]["ratio"] <= 1.2, linux[1]
    assert max(row["ours"]["memory"] for row in linux[1:]) < 64 << 20


def test_help_is_there_at_once(measured):
    assert measured["help"] < 0.15


def test_a_layout_takes_few_passes():
    """Time grows with the tree, not with its square: ten times the files in at most twenty times the calls."""

    def folder() -> Directory:
        return Directory({f"f{n}": File(MemoryContent(b"x" * n), "") for n in range(20)})

    def calls(count: int) -> int:
        seen = 0

        def count_call(*_: object) -> None:
            nonlocal seen
            seen += 1

        root = Directory({f"d{n}": folder() for n in range(count)})
        before = sys.getprofile()
        sys.setprofile(count_call)
        lay_out(root, align=lambda path: 64 if path.endswith("7") else 1)
        sys.setprofile(before)
        return seen

    assert calls(100) < 20 * calls(10)
