"""Content that an image cannot contain, that cannot be read, or that changes during the build."""

import os
import socket
import subprocess
import sys

import pytest

from hatch_romfs.errors import BuildError
from hatch_romfs.tree import CHUNK, DiskContent, files
from tests.collect.support import collected, failure, listed, locked, posix, write_files

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is valid Unicode")
AGAIN = "changed while the image was being built\nBuild again."


def special(path: str, kind: str) -> None:
    if kind == "a fifo":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)
    elif os.geteuid():
        pytest.skip("only root makes devices")
    else:
        node = 0o020600 if kind == "a character device" else 0o060600
        try:
            os.mknod(path, node, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("this container makes no devices")


@posix
@pytest.mark.parametrize("kind", ["a fifo", "a socket", "a character device", "a block device"])
def test_special_files(tmp_path, monkeypatch, kind):
    write_files(tmp_path, "src/d/a")
    monkeypatch.chdir(tmp_path / "src" / "d")  # the address of a socket is short
    special("s", kind)
    assert failure(tmp_path) == f"src/d/s is {kind}, which an image cannot contain\nExclude it."
    assert listed(tmp_path, exclude=["s"]) == ["d/", "d/a"]
    assert listed(tmp_path, sources=[{"path": "src", "include": ["a"]}]) == ["d/", "d/a"]
    (tmp_path / "src" / "link").symlink_to("d/s")
    assert failure(tmp_path, exclude=["s"]) == f"src/link is {kind}, which an image cannot contain\nExclude it."


@linux
@pytest.mark.parametrize(("name", "shown"), [(b"\xff.bin", r"'\xff.bin'"), (b"gr\xfc\xdfe", r"'gr\xfc\xdfe'")])
def test_names_that_are_not_utf_8(tmp_path, name, shown):
    write_files(tmp_path, "src/d/")
    (tmp_path / "src" / "d" / os.fsdecode(name)).touch()
    text = f"src/d: the name {shown} is not valid UTF-8\nRename it, or exclude it."
    assert failure(tmp_path) == text
    assert failure(tmp_path / "src" / "d", plain=True) == text.replace("src/d", str(tmp_path / "src/d"))
    assert listed(tmp_path, exclude=["d"]) == []


@linux
def test_names_that_are_not_utf_8_may_be_excluded_as_the_hint_says(tmp_path):
    write_files(tmp_path, "src/a")
    (tmp_path / "src" / os.fsdecode(b"\xff.bin")).touch()
    assert listed(tmp_path, exclude=["*.bin"]) == ["a"]


COLLECT = """
import pathlib, sys
from hatch_romfs.collect.sources import collect
from hatch_romfs.settings.model import Settings
from hatch_romfs.tree import files
for path, file in files(collect(Settings(), pathlib.Path(sys.argv[1])).tree):
    print(ascii(path), ascii(file.origin), file.read())
"""


@linux
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_names_are_utf_8_whatever_the_locale_says(tmp_path, locale):
    write_files(tmp_path, "src/grüße/ein ä.txt", data="x")
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, tmp_path],
        env=os.environ | locale,
        capture_output=True,
        check=True,
        encoding="ascii",
    )
    assert done.stdout == f"{'grüße/ein ä.txt'!a} {'src/grüße/ein ä.txt'!a} b'x'\n"


def test_folders_deep_inside_one_another(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    deepest = "/".join(["d"] * 255)
    os.makedirs(deepest)  # noqa: PTH103 - Path.mkdir calls itself for each, twice
    assert listed(tmp_path)[-1] == f"{deepest}/"
    os.mkdir(f"{deepest}/d")  # noqa: PTH102
    assert failure(tmp_path) == f"src/{deepest}/d: folders are nested more than 255 deep"
    assert listed(tmp_path, exclude=[f"/{deepest}/d"])[-1] == f"{deepest}/"


@posix
def test_a_folder_that_cannot_be_read(open_path):
    write_files(open_path, "src/d/a")
    with locked(open_path / "src" / "d"):
        text = failure(open_path)
    assert text == "cannot read src/d: Permission denied"


@posix
def test_a_source_that_cannot_be_read(open_path):
    write_files(open_path, "src/d/a")
    with locked(open_path / "src"):
        text = failure(open_path)
        inside = failure(open_path, sources=["src/d"])
    assert text == "cannot read src: Permission denied"
    assert str(open_path / "src/d") in inside


@posix
def test_a_file_that_cannot_be_read(open_path):
    write_files(open_path, "src/a")
    with locked(open_path / "src" / "a"):
        ((_, file),) = files(collected(open_path).tree)
        with pytest.raises(BuildError) as caught:
            file.read()
    assert str(caught.value) == f"cannot read {open_path / 'src/a'}: Permission denied"


def test_a_file_is_read_in_pieces_and_again(tmp_path):
    data = bytes(range(256)) * (CHUNK // 256) * 2 + b"end"
    write_files(tmp_path, "src/")
    (tmp_path / "src" / "a").write_bytes(data)
    ((_, file),) = files(collected(tmp_path).tree)
    assert max(len(chunk) for chunk in file.content.chunks()) <= CHUNK
    assert file.read() == file.read() == data


def grow(path):
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path):
    os.truncate(path, path.stat().st_size - 1)


def rewrite(path):
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))


def replace(path):
    path.with_name("b").write_bytes(b"")
    path.with_name("b").replace(path)


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace])
def test_a_file_that_changed_since_it_was_collected(tmp_path, change):
    path = write_files(tmp_path, "src/a") / "src" / "a"
    ((_, file),) = files(collected(tmp_path).tree)
    assert file.read() == b"src/a"
    change(path)
    with pytest.raises(BuildError) as caught:
        file.read()
    assert str(caught.value) == f"{path} {AGAIN}"


@pytest.mark.parametrize("change", [grow, shrink, rewrite])
def test_a_file_that_changes_while_it_is_read(tmp_path, change):
    path = tmp_path / "a"
    path.write_bytes(bytes(CHUNK * 2))
    status = path.stat()
    chunks = DiskContent(str(path), status.st_size, status.st_mtime_ns).chunks()
    assert next(chunks) == bytes(CHUNK)
    change(path)
    with pytest.raises(BuildError) as caught:
        list(chunks)
    assert str(caught.value) == f"{path} {AGAIN}"


def test_a_file_that_is_gone(tmp_path):
    write_files(tmp_path, "src/a")
    ((_, file),) = files(collected(tmp_path).tree)
    (tmp_path / "src" / "a").unlink()
    with pytest.raises(BuildError) as caught:
        file.read()
    assert str(caught.value) == f"cannot read {tmp_path / 'src' / 'a'}: No such file or directory"
