"""An image on the host behaves like VfsRom on a board: the same calls, the same results and errno."""

import errno
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs import open_image
from hatch_romfs.board import mperrno
from hatch_romfs.formats.micropython.image import RomFile, RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from tests import judges
from tests.trees import tree

ROOT = tree(
    {"a/b/c": b"x", "a/f.txt": b"hi\r\nyou\n", "empty": None, "z": b"", "ü/ä ö": b"\x00\xff", "bin": bytes(range(256))}
)
IMAGE = b"".join(image_chunks(lay_out(ROOT, metadata=Metadata("app", "1"))))
PATHS = [
    "", "/", "a", "/a", "a/", "/a/", "//a", "a//b", "a/f.txt", "a/f.txt/", "/a/f.txt", "nope", "a/nope", "z", "z/x",
    "z/", ".", "..", "a/.", "a/..", "empty", "empty/", "empty/x", "a/b/c", "A", "ü", "ü/ä ö", "ü/ä", "bin/", "bin",
]  # fmt: skip
MODES = ["", "r", "rt", "rb", "br", "tb", "rbt", "bb", "x", "U", "w", "wb", "a", "r+", "rw", "+", "ab"]

THERE = """
import json
def call(name, *args):
    try:
        result = getattr(fs, name)(*args)
        if name == "ilistdir":
            result = [[str(e[0], "utf-8") if isinstance(e[0], bytes) else e[0]] + list(e[1:]) for e in result]
        elif name == "open":
            data = result.read()
            result = ["text", data] if isinstance(data, str) else ["bytes", list(data)]
        return list(result)
    except OSError as error:
        return error.args[0]
"""


def here(image: RomImage, name: str, *args: object) -> object:
    try:
        result = getattr(image, name)(*args)
        if name == "ilistdir":
            return [[str(e[0], "utf-8") if isinstance(e[0], bytes) else e[0], *e[1:]] for e in result]
        if name == "open":
            with result as file:
                data = file.read()
            return ["text", data] if isinstance(data, str) else ["bytes", list(data)]
        return list(result)
    except OSError as error:
        return error.errno


def compare(calls: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("vfs") / "image"
    path.write_bytes(IMAGE)
    code = f"{judges.LIST}\n{THERE}\nfs = vfs.VfsRom(load({str(path)!a}))\n" + "\n".join(
        f"print(json.dumps(call(*{call!a})))" for call in calls
    )
    there = [json.loads(line) for line in judges.micropython(code).splitlines()]
    with RomImage(IMAGE) as image:
        for call, expected in zip(calls, there, strict=True):
            assert here(image, str(call[0]), *call[1:]) == expected, call


def test_lookups_are_those_of_the_board(tmp_path_factory):
    calls: list[tuple[object, ...]] = [(name, path) for name in ("stat", "ilistdir", "statvfs") for path in PATHS]
    compare(calls + [("ilistdir", path.encode()) for path in PATHS], tmp_path_factory)


def test_the_directory_that_can_be_the_current_one_is_that_of_the_board(tmp_path):
    paths: list[str | bytes] = [*PATHS, *(path.encode() for path in PATHS)]
    (tmp_path / "image").write_bytes(IMAGE)
    code = f"""{judges.LIST}
fs = vfs.VfsRom(load({str(tmp_path / "image")!a}))
for path in {paths!a}:
    try:
        print(fs.chdir(path))
    except OSError as error:
        print(error.args[0])
"""
    there = judges.micropython(code).splitlines()
    with RomImage(IMAGE) as image:
        for path, expected in zip(paths, there, strict=True):
            if expected == "None":
                image.chdir(path)
                assert path in ("/", b"/")
            else:
                with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)) as caught:
                    image.chdir(path)
                assert (caught.value.errno, int(expected)) == (errno.EOPNOTSUPP, mperrno.EOPNOTSUPP)
        assert image.getcwd() == "/"


def test_opening_is_that_of_the_board(tmp_path_factory):
    calls: list[tuple[object, ...]] = [("open", path, "rb") for path in PATHS]
    calls += [("open", path, mode) for path in ("a/f.txt", "nope", "a") for mode in MODES]
    compare(calls, tmp_path_factory)


@given(paths=st.lists(st.text("ab/cf.tx z", max_size=9), min_size=20, max_size=40))
@settings(max_examples=10, deadline=None)
def test_any_path_is_found_or_not_as_on_the_board(paths, tmp_path_factory):
    compare([(name, path) for path in paths for name in ("stat", "ilistdir")], tmp_path_factory)


SEEKS = [(0, 0), (3, 0), (100, 0), (999, 0), (-1, 0), (5, 1), (-2, 1), (-999, 1), (0, 2), (-4, 2), (9, 2), (-999, 2)]


def test_seeking_is_that_of_the_board(tmp_path):
    (tmp_path / "image").write_bytes(IMAGE)
    code = f"""{judges.LIST}
fs = vfs.VfsRom(load({str(tmp_path / "image")!a}))
file = fs.open("bin", "rb")
for offset, whence in {SEEKS!r}:
    try:
        print([file.seek(offset, whence), file.tell(), list(file.read(3))])
    except OSError as error:
        print(error.args[0])
"""
    there = judges.micropython(code).splitlines()
    with RomImage(IMAGE) as image, image.open("bin", "rb") as file:
        for (offset, whence), expected in zip(SEEKS, there, strict=True):
            try:
                found = str([file.seek(offset, whence), file.tell(), list(file.read(3))])
            except OSError as error:
                found = str(error.errno)
            assert found == expected, (offset, whence)


def test_a_binary_file_gives_its_memory():
    with RomImage(IMAGE) as image, image.open("bin", "rb") as file:
        assert isinstance(file, RomFile)
        assert file.memory == bytes(range(256))
        assert file.memory.readonly
        assert file.readable()
        assert file.seekable()


def test_an_open_file_can_be_read_after_the_image_was_closed(tmp_path):
    (tmp_path / "image").write_bytes(IMAGE)
    image = open_image(tmp_path / "image")
    assert isinstance(image, RomImage)
    file = image.open("bin", "rb")
    image.close()
    assert file.read() == bytes(range(256))
    file.close()
