"""The output of the writer, judged by mpremote, by the real MicroPython, and by the rules of the layout."""

import itertools
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpremote.romfs import make_romfs

from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython import records
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import SHARED_FROM, Layout, lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files
from hatch_romfs.tree import Directory, File, MemoryContent, files
from tests import judges
from tests.trees import ASCII_NAMES, contents, digests, tree, trees, write_tree

BOUNDARIES = [0, 1, 2, 100, *range(117, 132), *range(16370, 16390), 2 << 20, (2 << 20) - 9]


def written(layout: Layout) -> bytes:
    data = b"".join(image_chunks(layout))
    assert len(data) == layout.size
    return data


def by_mpremote(root: Directory, capsys: pytest.CaptureFixture[str]) -> bytes:
    with TemporaryDirectory() as folder:
        image: bytes = make_romfs(str(write_tree(root, Path(folder) / "tree")), mpy_cross=False)
    capsys.readouterr()
    return image


@given(root=trees(ASCII_NAMES))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_compact_images_are_those_of_mpremote(root, capsys):
    assert written(lay_out(root)) == by_mpremote(root, capsys)


@pytest.mark.parametrize("size", BOUNDARIES)
def test_compact_images_equal_those_of_mpremote_at_each_width(size, capsys):
    data = bytes(size)
    shapes: tuple[dict[str, bytes | None], ...] = (
        {"a": data},
        {"d/e/f/g/h/i/j/k": data, "empty": None},
        {"d/a": data, "d/b": b"x", "e/f": None, "z" * 127: b"", "z" * 128: b"y"},
    )
    for entries in shapes:
        root = tree(entries)
        assert written(lay_out(root)) == by_mpremote(root, capsys)


def test_compact_images_of_deep_trees_are_those_of_mpremote(capsys):
    root = tree({"/".join(["d"] * 200): b"deep"})
    assert written(lay_out(root)) == by_mpremote(root, capsys)


def read_back(layout: Layout, more: str = "") -> dict[str, tuple[int, str, int] | None]:
    """Return what the real VfsRom finds in an image."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(written(layout))
        return judges.read_by_micropython(path, more)


ALIGNED = st.dictionaries(st.integers(0, 20), st.sampled_from([1, 2, 4, 16, 32, 256, 4096]), max_size=8)


def aligned_by(root: Directory, chosen: dict[int, int]) -> dict[str, int]:
    """Give the n-th file of a tree the n-th boundary."""
    return {path: chosen.get(number, 1) for number, (path, _) in enumerate(files(root))}


@given(root=trees(), chosen=ALIGNED, share=st.booleans(), named=st.booleans(), stable=st.booleans())
@settings(deadline=None, max_examples=300)
def test_layouts_keep_their_promises(root, chosen, share, named, stable):
    aligns = aligned_by(root, chosen)
    same = equal_files(root, smallest=SHARED_FROM) if share else {}
    metadata = Metadata("app", "1.0") if named else None
    layout = lay_out(root, align=aligns.__getitem__, same=same, metadata=metadata, stable=stable)
    assert layout.size % 2 == 0
    for record, following in itertools.pairwise(layout.records):
        assert following.kind != records.PADDING or following.head[0] == records.PADDING
        assert following.offset == record.data_offset + (record.content.size if record.content else 0)
    with RomImage(written(layout)) as image:
        assert contents(image.root) == contents(root)
        image.check()
        for path, found in files(image.root):
            assert image_content(found).offset % aligns[path] == 0
        assert (image.name, image.version) == (("app", "1.0") if named else (None, None))


@given(root=trees(), chosen=ALIGNED, share=st.booleans(), stable=st.booleans(), named=st.booleans())
@settings(deadline=None, max_examples=80)
def test_micropython_reads_what_went_in_where_it_was_asked_to_be(root, chosen, share, stable, named):
    aligns = aligned_by(root, chosen)
    same = equal_files(root, smallest=SHARED_FROM) if share else {}
    metadata = Metadata("app", "1.0") if named else None
    found = read_back(lay_out(root, align=aligns.__getitem__, same=same, metadata=metadata, stable=stable))
    assert {name: entry and entry[:2] for name, entry in found.items()} == digests(root)
    assert all(entry[2] % aligns[name] == 0 for name, entry in found.items() if entry)


@given(
    outer=trees(),
    inner=trees(),
    chosen=ALIGNED,
    stable=st.tuples(st.booleans(), st.booleans()),
    options=st.tuples(st.booleans(), st.booleans()),
)
@settings(deadline=None, max_examples=60)
def test_micropython_mounts_a_nested_image_of_each_layout_in_place(outer, inner, chosen, stable, options):
    share, named = options
    aligns = aligned_by(inner, chosen)
    metadata = Metadata("app", "1.0") if named else None

    def laid_out(root: Directory, align: Callable[[str], int], *, stable: bool) -> Layout:
        same = equal_files(root, smallest=SHARED_FROM) if share else {}
        return lay_out(root, align=align, same=same, metadata=metadata, stable=stable)

    nested = laid_out(inner, aligns.__getitem__, stable=stable[0])
    outer.entries["n.romfs"] = File(MemoryContent(written(nested)), "a test", alignment=nested.alignment)
    around = laid_out(outer, lambda _: 1, stable=stable[1])
    assert {name: entry and entry[:2] for name, entry in read_back(around).items()} == digests(outer)
    found = read_back(around, 'with fs.open("n.romfs", "rb") as file:\n    fs = vfs.VfsRom(memoryview(file))')
    assert {name: entry and entry[:2] for name, entry in found.items()} == digests(inner)
    assert all(entry[2] % aligns[name] == 0 for name, entry in found.items() if entry)


@pytest.mark.parametrize("boundary", [1 << power for power in range(13)])
def test_micropython_finds_every_file_aligned(boundary, tmp_path):
    root = tree({f"d{n % 3}/f{n}": bytes([n]) * (n * 37 % 301) for n in range(40)} | {"d0/twin": bytes([5]) * 185})
    same = equal_files(root, smallest=SHARED_FROM)
    assert same
    layout = lay_out(root, align=lambda _: boundary, same=same, metadata=Metadata("app", "1"))
    (tmp_path / "image").write_bytes(written(layout))
    found = judges.read_by_micropython(tmp_path / "image")
    assert {name: entry and entry[:2] for name, entry in found.items()} == digests(root)
    assert all(entry[2] % boundary == 0 for entry in found.values() if entry)


def test_a_nested_image_stays_aligned_when_it_is_mounted_in_place(tmp_path):
    inner = written(lay_out(tree({"model.tflite": b"m" * 999, "a": b"b"}), align=lambda path: 32 if "." in path else 1))
    outer = tree({"main.py": b"pass", "assets.romfs": inner, "zz": b"z" * 77})
    layout = lay_out(outer, align=lambda path: 32 if path.endswith(".romfs") else 1, metadata=Metadata("n", "1"))
    (tmp_path / "image").write_bytes(written(layout))
    more = 'with fs.open("assets.romfs", "rb") as file:\n    fs = vfs.VfsRom(memoryview(file))'
    found = judges.read_by_micropython(tmp_path / "image", more)
    assert sorted(found) == ["a", "model.tflite"]
    model = found["model.tflite"]
    assert model
    assert model[0] == 999
    assert model[2] % 32 == 0


def test_shared_files_are_stored_once_and_as_strictly_as_any_of_them_asks():
    data = b"0123456789" * 500
    root = tree({"a": data, "b/model.tflite": data, "c": data, "small": b"1", "small2": b"1"})
    same = equal_files(root, smallest=SHARED_FROM)
    assert same == {"b/model.tflite": "a", "c": "a"}
    image = written(lay_out(root, align=lambda path: 64 if path.endswith(".tflite") else 1, same=same))
    assert image.count(data) == 1
    assert image.index(data) % 64 == 0
    assert len(image) < len(data) + 150


def test_two_images_that_differ_only_in_metadata_have_the_same_content_hash():
    root = tree({"a": b"b"})
    one, two = (written(lay_out(root, metadata=Metadata("app", version))) for version in ("1.0", "2.0"))
    with RomImage(one) as first, RomImage(two) as second:
        assert first.content_sha256 == second.content_sha256
        assert (first.version, second.version) == ("1.0", "2.0")


@pytest.mark.parametrize("size", [2, 3, 128, 129, 130, 131, 16385, 16386, 16387, 70000])
def test_a_padding_record_is_as_long_as_asked(size):
    assert len(records.padding(size)) == size


@given(value=st.integers(0, 0xFFFF_FFFF), width=st.integers(1, 8))
def test_varuints_read_back_at_every_width(value, width):
    encoded = records.varuint(value, width)
    assert len(encoded) == max(width, records.varuint_size(value))
    decoded = 0
    for byte in encoded:
        decoded = decoded << 7 | byte & 0x7F
    assert decoded == value
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]
