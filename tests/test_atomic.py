"""A file is replaced in one step, or stays as it was."""

import os
from pathlib import Path

import pytest

from romfs_manifest.shared.atomic import SUFFIX, replace_atomically


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


def test_a_block_that_writes_nothing_is_an_error(old):
    with pytest.raises(FileNotFoundError), replace_atomically(old):
        pass
    assert old.read_text() == "old"
