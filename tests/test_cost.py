"""What a build costs beside mpremote's, whole processes in one run; the script is in benchmarks/."""

import sys

import pytest

from benchmarks.build import Bench
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.tree import Directory, File, Held
from tests import judges


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    judges.command("mpremote")
    return Bench(tmp_path_factory.mktemp("bench"))


def test_modules_cold_and_warm(bench):
    for row in bench.modules():
        assert row.ratio <= row.bound, row


def test_ten_times_as_many_modules_warm(bench):
    row = bench.many_modules()
    assert row.ratio <= row.bound, row


def test_a_large_file_is_streamed(bench):
    row = bench.blob(rounds=2)
    assert row.ratio <= row.bound, row
    assert row.ours.memory < 64 << 20, row


def test_help_is_there_at_once(bench):
    assert min(bench.help().seconds for _ in range(5)) < 0.15


def test_a_layout_takes_few_passes():
    """Time grows with the tree, not with its square: ten times the files in at most twenty times the calls."""

    def calls(count: int) -> int:
        root = Directory(
            {f"d{n}": Directory({f"f{m}": File(Held(b"x" * m), "") for m in range(20)}) for n in range(count)}
        )
        seen = 0

        def count_call(*_: object) -> None:
            nonlocal seen
            seen += 1

        sys.setprofile(count_call)
        lay_out(root, align=lambda path: 64 if path.endswith("7") else 1)
        sys.setprofile(None)
        return seen

    assert calls(100) < 20 * calls(10)
