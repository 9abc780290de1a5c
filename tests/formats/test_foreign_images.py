"""Images made by other tools: what the real VfsRom mounts is read here, with the same files at the same places."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs import ImageError, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.linux.image import LinuxImage
from hatch_romfs.formats.linux.layout import lay_out as lay_out_linux
from hatch_romfs.formats.linux.writer import image_chunks as linux_chunks
from hatch_romfs.formats.micropython.head import ImageHead, mounted_size_matches, read_head
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.records import MAGIC, varuint
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.tree import files, walk
from tests import foreign, judges
from tests.trees import tree, trees

HEAD = 512
BLOCKS = "print(json.dumps(fs.statvfs('/')[2]))"


def files_of(image: RomImage) -> dict[str, tuple[int, str, int] | None]:
    """Return what our reader finds, in the form of the judge."""
    found: dict[str, tuple[int, str, int] | None] = {path: None for path, _ in walk(image.root) if path}
    for path, file in files(image.root):
        data = file.read()
        found[path] = (len(data), hashlib.sha256(data).hexdigest(), image_content(file).offset)
    return found


@pytest.mark.parametrize("tail", foreign.TAILS)
@pytest.mark.parametrize("name", foreign.IMAGES)
def test_the_board_and_our_reader_see_the_same(name, tail, tmp_path):
    data = foreign.IMAGES[name]
    path = tmp_path / "image"
    path.write_bytes(data + foreign.TAILS[tail])
    with open_image(path) as image:
        assert isinstance(image, RomImage)
        assert image.size == len(data)
        assert files_of(image) == judges.read_by_micropython(path)
        assert image.sha256() == hashlib.sha256(data).hexdigest()
        image.check()


def test_the_images_are_of_both_parities_and_as_unusual_as_their_names_say():
    for name, data in foreign.IMAGES.items():
        assert len(data) % 2 == ("odd" in name), name
        assert (data[3:13] == b"\x80" * 10) == (name != "odd"), name


@pytest.mark.parametrize("name", foreign.IMAGES)
def test_the_head_says_what_the_board_reports_when_the_image_is_mounted(name, tmp_path):
    data = foreign.IMAGES[name]
    path = tmp_path / "image"
    path.write_bytes(data.ljust(8192, b"\xff"))
    code = f"{judges.LIST}\nfs = vfs.VfsRom(load({str(path)!a}))\n{BLOCKS}"
    blocks = json.loads(judges.micropython(code))
    head = read_head(path.read_bytes()[:HEAD], 8192)
    assert head is not None
    assert head.size == len(data)
    assert head.size - head.payload_offset == blocks
    assert mounted_size_matches(head, blocks)
    assert not mounted_size_matches(head, blocks - 1)
    assert not mounted_size_matches(head, len(data) + 1)
    assert not mounted_size_matches(head, -1)


def test_a_board_that_reports_the_size_of_the_whole_image():
    assert mounted_size_matches(ImageHead(1000, 16, None), 1000)


def test_the_head_has_the_metadata():
    for header in (0, 16, 33):
        for padding in (0, 9):
            data = foreign.image(foreign.payload(odd=True, metadata=True, padding=padding), header=header)
            head = read_head(data[:HEAD], 8192)
            assert head is not None
            assert head.metadata == Metadata("app", "1.0")
    assert read_head(data[:100], 8192) == ImageHead(len(data), 33, None)  # the metadata are not all there


def test_bytes_after_an_image_are_not_its_metadata():
    empty = MAGIC + b"\0"
    comment = foreign.payload(odd=True, metadata=True)
    assert read_head(empty + comment, 8192) == ImageHead(4, 4, None)


@given(root=trees(), metadata=st.sampled_from((None, Metadata("app", "1.0"))))
def test_our_own_images_have_heads_too_and_an_even_size(root, metadata):
    data = b"".join(image_chunks(lay_out(root, metadata=metadata)))
    head = read_head(data[:HEAD], len(data))
    assert len(data) % 2 == 0
    with RomImage(data) as image:
        assert head is not None
        assert (head.size, head.size - head.payload_offset) == (len(data), image.root.size)
        assert (head.metadata is None) == (metadata is None)
    assert read_head(data[:HEAD], len(data) - 1) is None


HEADS = [
    b"", MAGIC[:2], MAGIC, b"\xff" * 16, MAGIC + b"\xff" * 13, MAGIC + b"\x80" * 61, MAGIC + b"\x80" * 60 + b"\0",
    MAGIC + varuint(60), MAGIC + varuint(61), MAGIC + varuint(48, 13), MAGIC + varuint(49, 13),
    MAGIC + b"\x87\xff\xff\xff\x7f", MAGIC + b"\x8f\xff\xff\xff\x7f", MAGIC + b"\x90\x80\x80\x80\x00",
    b"\xd2\xcd\x32\0",
]  # fmt: skip


def test_a_head_is_an_image_where_the_board_mounts_it():
    """With 64 bytes of memory, all of which the board sees."""
    memories = [head.ljust(64, b"\x80") for head in HEADS]
    code = f"""
import vfs
for memory in {memories!r}:
    try:
        vfs.VfsRom(memory)
        print(1)
    except OSError:
        print(0)
"""
    there = [line == "1" for line in judges.micropython(code).splitlines()]
    assert [read_head(memory, 64) is not None for memory in memories] == there
    assert any(there)
    assert not all(there)


@pytest.mark.parametrize("tail", foreign.TAILS)
def test_other_data_after_an_image_is_refused_with_its_offset(tail):
    data = foreign.IMAGES["padded header, odd"] + foreign.TAILS[tail]
    with pytest.raises(ImageError, match="other data follows it") as caught:
        RomImage(data + b"\x01" + bytes(10))
    assert caught.value.offset == len(data)


@pytest.mark.parametrize("tail", foreign.TAILS)
def test_a_linux_image_may_be_followed_by_the_same(tail):
    data = b"".join(linux_chunks(lay_out_linux(tree({"a": b"some data"}), "rom")))
    with LinuxImage(data + foreign.TAILS[tail]) as image:
        assert (image.size, image.file("a").read()) == (len(data), b"some data")
    with pytest.raises(ImageError, match="other data follows it") as caught:
        LinuxImage(data + foreign.TAILS[tail] + b"x")
    assert caught.value.offset == len(data + foreign.TAILS[tail])


def test_a_linux_image_without_padding_may_be_followed_by_erased_flash():
    padded = b"".join(linux_chunks(lay_out_linux(tree({"a": b"some data"}), "rom")))
    size = int.from_bytes(padded[8:12], "big")
    assert size < len(padded)
    with LinuxImage(padded[:size] + b"\xff" * 4000) as image:
        assert (image.size, image.file("a").read()) == (size, b"some data")
    with LinuxImage(padded[:size] + b"\xff" * 5) as image:
        assert image.size == size


def romfs_image(*arguments: object) -> str:
    command = [judges.command("romfs-image"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout


def test_every_command_that_reads_images_reads_them(tmp_path):
    data = foreign.IMAGES["padded records, odd"]
    path = tmp_path / "image"
    path.write_bytes(data + foreign.TAILS["zeros, then erased flash"])
    assert json.loads(romfs_image("info", path, "--json"))["size"] == len(data)
    assert "model.tflite" in romfs_image("tree", path)
    assert romfs_image("cat", path, "main.py") == foreign.DATA["main.py"].decode()
    romfs_image("verify", path)
    romfs_image("extract", path, "-o", tmp_path / "out")
    for name, content in foreign.DATA.items():
        assert Path(tmp_path / "out" / name).read_bytes() == content
    assert romfs_image("run", path, "-c", "import main; print(main.said)") == "hello\n"
