"""The strict reader with hostile input: a tree, or an error with an offset."""

import contextlib
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs import ImageError, open_image
from hatch_romfs.errors import SettingsError
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
from hatch_romfs.formats.micropython.metadata import MAX_SIZE, Metadata, decode
from hatch_romfs.formats.micropython.records import MAGIC, varuint
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH
from hatch_romfs.tree import files, walk
from tests.trees import contents, tree

GOOD = tree({"lib/a.py": b"a" * 40, "lib/b.py": b"a" * 40, "c/d/e": b"\xff" * 200, "empty": None, "ü": b""})
IMAGE = b"".join(
    image_chunks(
        lay_out(
            GOOD,
            align=lambda path: 16 if path.startswith("c") else 1,
            same=equal_files(GOOD, smallest=SHARED_FROM),
            metadata=Metadata("app", "1.0"),
        )
    )
)


def record(kind: int, payload: bytes) -> bytes:
    return varuint(kind) + varuint(len(payload)) + payload


def named(kind: int, name: bytes, payload: bytes) -> bytes:
    return record(kind, varuint(len(name)) + name + payload)


def image(payload: bytes) -> bytes:
    width = 1
    while (len(MAGIC) + len(varuint(len(payload), width)) + len(payload)) % 2:
        width += 1
    return MAGIC + varuint(len(payload), width) + payload


def file(name: bytes, *inside: bytes) -> bytes:
    return named(5, name, b"".join(inside))


def pointer(size: int, offset: int) -> bytes:
    return record(3, varuint(size) + varuint(offset))


DATA = record(2, b"data")
BLOB = record(2, bytes(range(100)))  # its data lies at offsets 2 to 102 of the payload


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "begins with nothing", 0),
        (b"-rom1fs-" * 4, "begins with 2d726f", 0),
        (MAGIC, "a number extends past the end", 3),
        (MAGIC + b"\x80" * 50, "a number extends past the end", 3),
        (MAGIC + b"\xff" * 9, "larger than 32 bits", 3),
        (MAGIC + b"\x05abc", "should be 9 bytes, but only 7", 7),
        (image(b"\x00\x00"), "kind 0", 4),
        (image(b"\x04"), "extends past the end", 6),
        (image(record(4, b"")), "extends past the end", 6),
        (image(b"\x02\x7f" + b"x" * 20), "a record of 127 bytes is larger than its parent", 4),
        (image(named(4, b"a", b"\x02\x09")), "a record of 9 bytes is larger", None),
        (image(file(b"a")), "no data record", 4),
        (image(file(b"a", DATA, DATA)), "more than one data record", 14),
        (image(file(b"", DATA)), "'' is not a name", 8),
        (image(file(b".", DATA)), "'.' is not a name", 7),
        (image(file(b"..", DATA)), "'..' is not a name", 8),
        (image(file(b"a/b", DATA)), "contains a '/' or a NUL", 7),
        (image(file(b"a\0b", DATA)), "contains a '/' or a NUL", 7),
        (image(file(b"\xff", DATA)), "not valid UTF-8", 7),
        (image(file(b"\xed\xa0\x80", DATA)), "not valid UTF-8", 7),
        (image(file(b"a", DATA) + file(b"a", DATA)), "'a' appears twice", 16),
        (image(file(b"a", DATA) + named(4, b"a", b"")), "'a' appears twice", 16),
        (image(record(5, varuint(9) + b"a")), "a name of 9 bytes is larger", 6),
        (image(BLOB + file(b"a", pointer(10, 200))), "leaves the image", None),
        (image(BLOB + file(b"a", pointer(0xFFFF_FFFF, 0xFFFF_FFFF))), "leaves the image", None),
        (image(BLOB + file(b"a", pointer(10, 0))), "covers records that are not data", None),
        (image(BLOB + file(b"a", pointer(10, 95))), "covers records that are not data", None),
        (image(file(b"a", pointer(4, 0))), "covers records that are not data", None),
        (image(BLOB + file(b"a", pointer(10, 5)) + file(b"b", pointer(10, 9))), "partly overlaps other data", None),
        (image(BLOB + file(b"a", pointer(10, 5)) + file(b"b", pointer(4, 5))), "partly overlaps other data", None),
        (image(file(b"a", DATA) + file(b"b", pointer(2, 7))), "partly overlaps other data", None),
        (image(BLOB + file(b"a", record(3, b""))), "extends past the end", None),
        (image(BLOB + file(b"a", record(3, b"\x05"))), "extends past the end", None),
        (image(b"") + b"\xff\xffx\xff", "other data follows it", 6),
    ],
)
def test_what_is_wrong_is_said_with_its_offset(data, message, offset):
    with pytest.raises(ImageError, match=message) as caught:
        RomImage(data)
    assert 0 <= caught.value.offset <= len(data)
    assert offset in (None, caught.value.offset)
    assert str(caught.value).endswith(f"(at offset {caught.value.offset})")


def test_what_other_writers_may_do_is_read():
    payload = (
        record(1, b"a comment")
        + BLOB
        + record(99, b"from the future")
        + file(b"a", record(1, b"pad"), DATA, record(77, b"later"))
        + file(b"b", pointer(10, 23))
        + file(b"c", pointer(10, 23))
        + file(b"none", pointer(0, 0))
        + b"\x80\x80\x05" + varuint(5, 4) + b"\x01e" + b"\x02\x01!"
    )  # fmt: skip
    with RomImage(image(payload) + b"\xff" * 5000) as read:
        expected = {"a": b"data", "b": bytes(range(10, 20)), "c": bytes(range(10, 20)), "none": b"", "e": b"!"}
        assert contents(read.root) == expected
        assert read.size == len(image(payload))
        assert read.content_sha256 is None


def test_paths_are_bounded():
    inner = named(4, b"b" * (MAX_PATH // 2), file(b"c" * 10, DATA))
    assert RomImage(image(named(4, b"a" * (MAX_PATH // 2 - 20), inner))).root.entries
    with pytest.raises(ImageError, match=f"longer than {MAX_PATH} bytes"):
        RomImage(image(named(4, b"a" * (MAX_PATH // 2), inner)))


def nested(depth: int) -> bytes:
    payload = b""
    for _ in range(depth):
        payload = named(4, b"d", payload)
    return image(payload)


def test_nesting_is_bounded():
    assert RomImage(nested(MAX_DEPTH)).root.entries
    for depth in (MAX_DEPTH + 1, 5000):
        with pytest.raises(ImageError, match=f"more than {MAX_DEPTH} deep"):
            RomImage(nested(depth))


@given(cut=st.integers(0, len(IMAGE) - 1))
def test_a_cut_image_is_never_read(cut):
    with pytest.raises(ImageError):
        RomImage(IMAGE[:cut])


@given(changes=st.lists(st.tuples(st.integers(0, len(IMAGE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=600, deadline=None)
def test_a_changed_image_gives_a_tree_or_an_error(changes):
    data = bytearray(IMAGE)
    for at, value in changes:
        data[at] = value
    try:
        with RomImage(bytes(data)) as read:
            contents(read.root)
    except ImageError as error:
        assert 0 <= error.offset <= len(data)  # noqa: PT017 - either is right


@given(at=st.integers(0, len(IMAGE) - 1), bit=st.integers(0, 7))
@settings(max_examples=400, deadline=None)
def test_no_flipped_bit_of_the_content_goes_unseen(at, bit):
    data = bytearray(IMAGE)
    data[at] ^= 1 << bit
    metadata_ends = IMAGE.index(b"}" + b" " * 29) + 30  # the version has 3 of 32 bytes
    try:
        with RomImage(bytes(data)) as read:
            read.check()
            assert at < metadata_ends
    except ImageError:
        pass


@given(payload=st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_any_payload_gives_a_tree_or_an_error(payload):
    try:
        RomImage(image(payload))
    except ImageError as error:
        assert 0 <= error.offset <= len(payload) + 10  # noqa: PT017


@pytest.mark.parametrize(
    "payload",
    [
        b"\x01\x00" * 500_000,
        file(b"a", DATA * 1) + b"\x80" * 999_999,
        b"".join(file(b"%06d" % number, pointer(90, 2)) for number in range(40_000)) + BLOB,
        b"".join(named(4, b"%06d" % number, b"") for number in range(90_000)),
        b"\x80" * 500_000 + b"\x01\x00",
        named(4, b"n" * 3000, b"".join(file(b"%06d" % number, DATA) for number in range(20_000))),
    ],
    ids=["comments", "no end", "pointers", "folders", "padding", "long names"],
)
def test_time_and_memory_are_bounded_by_the_image(payload):
    data = image(payload)
    tracemalloc.start()
    with contextlib.suppress(ImageError):
        sum(1 for _ in walk(RomImage(data).root))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * len(data)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    with contextlib.suppress(ImageError):
        sum(1 for _ in walk(RomImage(data).root))
    sys.setprofile(before)
    assert calls < 20 * len(data)


def test_content_that_does_not_match_the_metadata_is_found(tmp_path):
    at = IMAGE.index(b"\xff" * 200) + 100
    path = tmp_path / "image"
    path.write_bytes(IMAGE[:at] + b"\x00" + IMAGE[at + 1 :])
    with open_image(path) as read, pytest.raises(ImageError, match="does not match the SHA-256 in the image"):
        read.check()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b'{"hatch-romfs":1,',
        b'{"hatch-romfs":1,"sha256":5}',
        b'{"hatch-romfs":1,"name":[],"sha256":"0"}',
        b'{"hatch-romfs":2,"sha256":"0"}',
        b'{"hatch-romfs":1,"x":"\xff"}',
        b'{"hatch-romfs":1,"x":' + b"[" * 3000 + b"}",
        b'{"hatch-romfs":1,"sha256":"0","name":"' + b"x" * MAX_SIZE + b'"}',
    ],
)
def test_a_comment_without_metadata_is_skipped(payload):
    assert decode(payload) is None
    with RomImage(image(record(1, payload))) as read:
        assert read.content_sha256 is None
        read.check()


def test_half_a_character_in_the_metadata_becomes_a_question_mark():
    payload = b'{"hatch-romfs":1,"name":"a\\ud800","sha256":"0\xed\xa0\x80","version":"\\udfff1"}'
    assert decode(payload) == Metadata("a?", "?1", "0?")


def test_opening_files_that_are_not_images(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ImageError, match="the file is empty"):
        open_image(tmp_path / "empty")
    with pytest.raises(SettingsError, match="cannot read .*none: No such file"):
        open_image(tmp_path / "none")
    with pytest.raises(SettingsError, match="cannot read"):
        open_image(tmp_path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ImageError, match="text: not a MicroPython ROMFS image") as caught:
        open_image(tmp_path / "text")
    assert caught.value.status == 3


def test_pointers_count_from_the_payload():
    data = image(BLOB + file(b"a", pointer(3, 2)))
    with RomImage(data) as read:
        (_, found), *_ = files(read.root)
        assert image_content(found).offset == data.index(bytes(range(100)))
