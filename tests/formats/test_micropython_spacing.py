"""What an edit changes in an image: where padding is, what it costs, and how many blocks are spared."""

import hashlib
from collections.abc import Mapping

import pytest

from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
from hatch_romfs.formats.micropython.metadata import Metadata, decode
from hatch_romfs.formats.micropython.records import FILE
from hatch_romfs.formats.micropython.spacing import STABLE, spaces
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files
from hatch_romfs.tree import files
from tests.trees import tree

EDIT = b"a line that was added\n"


def image_of(
    content: Mapping[str, bytes], version: str = "1.0", *, stable: bool = False, metadata: bool = True
) -> bytes:
    root = tree(content)
    same = equal_files(root, smallest=SHARED_FROM)
    described = Metadata("app", version) if metadata else None
    return b"".join(image_chunks(lay_out(root, same=same, metadata=described, stable=stable)))


def offsets(image: bytes) -> dict[str, int]:
    with RomImage(image) as opened:
        return {path: image_content(file).offset for path, file in files(opened.root)}


def noise(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(size)


def modules(count: int) -> dict[str, bytes]:
    """Make modules of 400 to 3,000 bytes."""
    sizes = noise(2 * count)
    return {
        f"lib/m{number:03}.mpy": noise(400 + int.from_bytes(sizes[2 * number : 2 * number + 2], "big") % 2600, number)
        for number in range(count)
    }


@pytest.mark.parametrize("stable", [False, True])
def test_another_version_moves_nothing(stable):
    content = modules(5)
    images = [
        image_of(content, version, stable=stable)
        for version in ("1", "1.0.10", "1.2.3.dev4+g0123456789abcdef", "ä" * 16)
    ]
    assert len({len(image) for image in images}) == 1
    assert all(offsets(image) == offsets(images[0]) for image in images)
    with RomImage(images[3]) as opened:
        assert opened.version == "ä" * 16


def test_a_version_of_more_than_32_bytes_is_kept_whole():
    with RomImage(image_of({"a": b"b"}, "1+" + "x" * 50)) as opened:
        assert opened.version == "1+" + "x" * 50


def test_metadata_can_be_read_with_and_without_the_spaces_after_it():
    encoded = Metadata("app", "1").encode()
    assert encoded.endswith(b"}" + b" " * 31)
    assert decode(encoded) == decode(encoded.rstrip()) == Metadata("app", "1")


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("size", [1, 2, 127, 128, 16383, 16384])
def test_an_edit_moves_nothing_before_the_edited_file(size, stable):
    content = {"a": b"1" * 100, "lib/b": b"2" * 99, "z": bytes(size)}
    before = offsets(image_of(content, stable=stable))
    after = offsets(image_of(content | {"z": bytes(size + 1)}, stable=stable))
    assert (before["a"], before["lib/b"]) == (after["a"], after["lib/b"])


def test_a_file_of_a_stable_image_can_grow_to_a_multiple_of_64_bytes_without_moving_any_other():
    content = modules(40)
    before = offsets(image_of(content, stable=True))
    for path, following in zip(list(content)[:-1], list(content)[1:], strict=True):
        end = before[path] + len(content[path])
        room = -end % 64
        larger = image_of(content | {path: content[path] + bytes(max(0, room - 2))}, stable=True)
        assert offsets(larger) == before
        assert before[following] - end < 2048 + 64 + 60


@pytest.mark.parametrize(
    ("size", "compact", "stable"),
    [(20_000, 1, 512), (40_000, 256, 1024), (300_000, 2048, 8192), (9 << 20, 65536, 65536)],
)
def test_a_large_file_begins_at_a_multiple_that_grows_with_its_size(size, compact, stable):
    root = tree({"a": b"x" * 77, "data.bin": bytes(size), "z": b"y"})
    for multiple, is_stable in ((compact, False), (stable, True)):
        layout = lay_out(root, metadata=Metadata("app", "1"), stable=is_stable)
        (begin,) = (record.offset for record in layout.records if record.kind == FILE and record.path == "data.bin")
        assert begin % multiple == 0


def test_a_shared_file_has_no_padding_for_its_size():
    data = noise(100_000)
    alone, shared = ({"a.bin": data} | more for more in ({}, {"b.bin": data}))
    assert len(image_of(shared)) - len(image_of(alone)) < 40
    assert len(image_of(shared, stable=True)) - len(image_of(alone, stable=True)) <= 64


def test_a_small_compact_image_has_no_padding_between_its_files():
    content = modules(10)
    assert len(image_of(content)) - len(image_of(content, metadata=False)) <= len(Metadata("app", "1").encode()) + 8


def test_an_added_file_changes_only_the_runs_around_it():
    content = modules(200)
    before, after = (spaces(tree(files_), STABLE, ()) for files_ in (content, content | {"lib/m060x.mpy": b"new"}))
    changed = [path for path in content if before[path] != after[path]]
    assert len(changed) < 10
    assert all("lib/m030" < path < "lib/m120" for path in changed)
