"""A file is replaced in one step, or stays as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from romfs_manifest.shared.atomic import SUFFIX, remove_leftovers, replace_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no locks that end with a process")


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    return path


def test_the_file_is_replaced_after_the_block(old):
    with replace_atomically(old) as temporary:
        Path(temporary).write_text("new")
        assert old.read_text() == "old"
        assert Path(temporary).parent == old.parent
        assert temporary.endswith(SUFFIX)
    assert old.read_text() == "new"
    assert os.listdir(old.parent) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_an_error_in_the_block_keeps_the_old_file_and_leaves_no_other(error, old):
    with pytest.raises(error), replace_atomically(old) as temporary:  # noqa: PT012 - the block is what raises
        Path(temporary).write_text("half")
        raise error
    assert old.read_text() == "old"
    assert os.listdir(old.parent) == ["file"]


def test_a_block_that_removes_the_new_file_is_an_error(old):
    with pytest.raises(FileNotFoundError), replace_atomically(old) as temporary:
        Path(temporary).unlink()
    assert old.read_text() == "old"


KILLED = """
import os, sys
from romfs_manifest.shared.atomic import replace_atomically
with replace_atomically(sys.argv[1]) as temporary:
    print(temporary, flush=True)
    sys.stdin.read()
"""


@posix
def test_only_the_files_of_killed_processes_are_removed(old):
    command = [sys.executable, "-c", KILLED, old]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = [Path(writer.stdout.readline().strip()) for writer in writers]
    writers[0].kill()
    writers[0].wait()
    remove_leftovers(old.parent)
    assert [path.exists() for path in names] == [False, True]
    for writer in writers:
        writer.communicate()
    assert writers[1].returncode == 0
    assert os.listdir(old.parent) == ["file"]


@posix
def test_the_next_replacement_of_a_path_removes_what_a_kill_has_left(old):
    (old.parent / f".file.1234{SUFFIX}").touch()
    (old.parent / f".file2.1234{SUFFIX}").touch()
    with replace_atomically(old, clean=False):
        pass
    assert len(os.listdir(old.parent)) == 3
    with replace_atomically(old):
        pass
    assert sorted(os.listdir(old.parent)) == [f".file2.1234{SUFFIX}", "file"]


@posix
def test_only_the_files_of_one_output_are_removed(old):
    (old.parent / f".file.1234{SUFFIX}").touch()
    (old.parent / f".other.1234{SUFFIX}").touch()
    os.mkfifo(old.parent / f".file.fifo{SUFFIX}")
    remove_leftovers(old.parent, "file.")
    assert sorted(os.listdir(old.parent)) == [f".file.fifo{SUFFIX}", f".other.1234{SUFFIX}", "file"]


@posix
def test_a_new_file_that_another_process_removes_before_it_is_locked_is_created_again(old, monkeypatch):
    import fcntl

    removed: list[Path] = []
    lock = fcntl.flock

    def remove_first(descriptor, operation):
        if not removed:
            (found,) = old.parent.glob(f"*{SUFFIX}")
            found.unlink()
            removed.append(found)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with replace_atomically(old) as temporary:
        Path(temporary).write_text("new")
    assert removed
    assert old.read_text() == "new"
