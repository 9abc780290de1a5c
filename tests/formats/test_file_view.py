"""Image files that are not files, or that change while they are open."""

import os
import subprocess
import sys

import pytest

from hatch_romfs import ImageError, SettingsError, build, open_image
from hatch_romfs.formats.file_view import FileView

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither pipes nor devices in folders")

SHRINK = """
import os, sys
from hatch_romfs import ImageError, open_image
with open_image(sys.argv[1]) as image:
    os.truncate(sys.argv[1], 100)
    try:
        image.sha256()
    except ImageError as error:
        print(error)
"""


def test_a_file_that_becomes_shorter_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large").write_bytes(bytes(200_000))
    image = build(tmp_path / "data").path
    # In a process of its own, because reading a mapped file would end it with SIGBUS.
    done = subprocess.run([sys.executable, "-c", SHRINK, image], capture_output=True, text=True, check=True)
    assert done.stdout == "the file became shorter while it was being read (at offset 100)\n"


@posix
@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_not_a_file_fails_at_once(tmp_path, kind):
    path = tmp_path / "image"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(SettingsError, match="cannot read .*: (it is not a regular file|Is a directory)"):
        open_image(path)


@posix
def test_a_pyproject_toml_that_is_a_fifo_fails_at_once(tmp_path):
    os.mkfifo(tmp_path / "pyproject.toml")
    with pytest.raises(SettingsError, match="cannot read .*pyproject.toml: it is not a regular file"):
        build(tmp_path)


def test_a_view_reads_what_is_in_the_file(tmp_path):
    data = os.urandom(200_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    view = FileView(path, 1000)
    rest = data[1000:]
    for part in (
        slice(0, 8),
        slice(65_530, 65_540),
        slice(None),
        slice(199_000, 300_000),
        slice(5, 2),
        slice(70_000, None),
    ):
        assert bytes(view[part]) == rest[part]
    assert (view[0], view[198_999], len(view)) == (rest[0], rest[-1], len(rest))
    with pytest.raises(IndexError):
        view[199_000]
    view.release()


def test_an_image_in_a_dump_is_opened_at_its_offset(image, tmp_path):
    dump = tmp_path / "dump"
    dump.write_bytes(b"\xff" * 4096 + image.read_bytes())
    with open_image(dump, offset=4096) as found, open_image(image) as original:
        assert found.sha256() == original.sha256()
    with pytest.raises(ImageError):
        open_image(dump)
