"""Every byte of an image belongs to exactly one cell of its map, whatever the image consists of."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatch_romfs.errors import ImageError
from hatch_romfs.formats import read_image
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.image import LinuxImage
from hatch_romfs.formats.linux.layout import lay_out as lay_out_linux
from hatch_romfs.formats.linux.writer import image_chunks as linux_chunks
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.records import MAGIC, varuint
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files, hard_links
from hatch_romfs.report.cells import GROUP_OF
from hatch_romfs.report.image_map import blocks, by_kind, entries, make_map
from hatch_romfs.tree import File, files
from tests import foreign
from tests.trees import romfs_trees, tree, trees

METADATA = Metadata("app", "1.0.0")


def assert_tiled(found):
    """Check that the cells are in order, without gaps, and add up."""
    assert all(cell.size > 0 and cell.kind in GROUP_OF for cell in found.cells)
    ends = [0, *(cell.offset + cell.size for cell in found.cells)]
    assert [cell.offset for cell in found.cells] == ends[:-1]
    assert ends[-1] == found.size
    root = entries(found.cells)
    assert root.size == found.size == sum(by_kind(found.cells).values())
    assert all(
        child.size <= entry.size and entry.size == entry.own.total() + sum(c.size for c in entry.children.values())
        for entry in [root, *root.walk()]
        for child in entry.children.values()
    )


def first_kind(path, file):
    """Return the kind of a file's first cell; its data can happen to be an image of its own."""
    try:
        read_image(file.read())
    except ImageError:
        return "source" if path.endswith(".py") else "data"
    return "header"


def rom_image(root, **options):
    return RomImage(b"".join(image_chunks(lay_out(root, **options))))


@example(root=tree({".py": b"\0"}), alignment=1, metadata=None, stable=False, share=False)
@given(
    root=trees(),
    alignment=st.sampled_from([1, 4, 32, 512]),
    metadata=st.sampled_from([None, METADATA]),
    stable=st.booleans(),
    share=st.booleans(),
)
@settings(deadline=None, max_examples=120)
def test_cells_tile_images_of_micropython_in_every_layout(root, alignment, metadata, stable, share):
    same = equal_files(root, smallest=SHARED_FROM) if share else {}
    image = rom_image(root, align=lambda _: alignment, same=same, metadata=metadata, stable=stable)
    found = make_map(image)
    assert_tiled(found)
    at = {cell.offset: cell for cell in found.cells}
    for path, node in files(image.root):
        if node.size and path not in same:
            assert at[node.content.offset].path == path
            assert at[node.content.offset].kind == first_kind(path, node)


@example(root=tree({"empty.romfs": b"\xd2\xcd1\0"}), alignment=1)
@given(root=romfs_trees(), alignment=st.sampled_from([1, 16, 64, 4096]))
@settings(deadline=None, max_examples=60)
def test_cells_tile_images_of_linux(root, alignment):
    layout = lay_out_linux(
        root, "volume", align=lambda _, node: alignment if isinstance(node, File) else 1, same=hard_links(root)
    )
    image = LinuxImage(b"".join(linux_chunks(layout)))
    found = make_map(image)
    assert_tiled(found)
    assert sum(cell.size for cell in found.cells if cell.kind == "record") == 16 * len(layout.records)
    at = {cell.offset: cell.kind for cell in found.cells}
    assert all(at[node.content.offset] == first_kind(path, node) for path, node in files(image.root) if node.size)


@pytest.mark.parametrize("name", foreign.IMAGES)
def test_cells_tile_images_of_other_tools(name):
    assert_tiled(make_map(RomImage(foreign.IMAGES[name])))


def record(kind, payload):
    return bytes([kind]) + varuint(len(payload)) + payload


def named(kind, name, payload):
    return record(kind, varuint(len(name)) + name + payload)


def image_of(payload):
    return MAGIC + varuint(len(payload)) + payload


def kinds_of(image):
    return [(cell.kind, cell.path, cell.size) for cell in make_map(image).cells]


def test_records_that_nobody_needs_are_unused_and_data_outside_files_belongs_to_the_files_that_point_to_it():
    pool = record(2, b"lost" + b"first data" + b"second")
    start = len(pool) - len(b"first datasecond")
    pointers = [
        named(5, b"a", record(3, varuint(10) + varuint(start))),
        named(5, b"b", record(3, varuint(6) + varuint(start + 10))),
    ]
    image = RomImage(image_of(pool + record(9, b"?") + b"".join(pointers) + record(1, b"a comment")))
    found = make_map(image)
    assert_tiled(found)
    assert [(kind, path, size) for kind, path, size in kinds_of(image) if kind in ("data", "unused", "comment")] == [
        ("unused", "", 4),
        ("data", "a", 10),
        ("data", "b", 6),
        ("unused", "", 1),
        ("comment", "", 11),
    ]


def test_padding_says_why_it_is_there():
    root = tree({"a/model.tflite": bytes(100), "b.txt": b"text", "c.txt": b"more"})
    aligned = rom_image(root, align=lambda path: 32 if path.endswith(".tflite") else 1, metadata=METADATA)
    assert ("alignment padding", "a/model.tflite") in {found[:2] for found in kinds_of(aligned)}
    assert {"metadata", "length padding"} <= set(by_kind(make_map(aligned).cells))
    stable = rom_image(root, metadata=METADATA, stable=True)
    assert ("layout padding", "b.txt") in {found[:2] for found in kinds_of(stable)}
    sizes = [rom_image(tree({"a": bytes(size)}), metadata=METADATA) for size in (8, 9)]
    assert [("size padding", "", 3) in kinds_of(image) for image in sizes].count(True) == 1


def test_shared_data_is_counted_once_and_reported():
    data = bytes(range(200))
    root = tree({"one": data, "two": data, "three": data})
    found = make_map(rom_image(root, same=equal_files(root, smallest=SHARED_FROM)))
    assert (found.shared, found.files) == (400, 3)
    assert by_kind(found.cells)["data"] == 200
    assert {cell.path for cell in found.cells if cell.kind == "pointer"} == {"three", "two"}


@pytest.mark.parametrize("tail", [b"", b"\xff" * 9])
def test_a_nested_image_of_either_format_is_part_of_the_map(tail):
    inner = rom_image(tree({"deep/model.bin": b"x" * 50}))
    linux = b"".join(linux_chunks(lay_out_linux(tree({"etc/passwd": b"root"}), "v")))
    files_in = {"models.romfs": bytes(inner.view) + tail, "root.img": linux, "fake.romfs": MAGIC + b"\x99"}
    found = make_map(rom_image(tree(files_in)))
    assert_tiled(found)
    sizes = {(cell.path, cell.kind): cell.size for cell in found.cells}
    assert sizes["models.romfs/deep/model.bin", "data"] == 50
    assert sizes["root.img/etc/passwd", "data"] == 4
    assert sizes["fake.romfs", "data"] == 4
    assert sizes.get(("models.romfs", "unused"), 0) == len(tail)


def test_images_nested_without_end_are_data_from_some_depth_on():
    image = rom_image(tree({"/".join(["d"] * 250): b""}))
    for _ in range(6):
        image = rom_image(tree({"/".join(["d"] * 250 + ["i.romfs"]): bytes(image.view)}))
    assert_tiled(make_map(image))


def test_links_and_devices_of_linux_take_records_only():
    image = LinuxImage(b"".join(linux_chunks(lay_out_linux(tree({"bin/sh": b"#!"}), "volume"))))
    assert ("data", "bin/sh", 2) in kinds_of(image)
    assert kinds_of(image)[0] == ("header", "", headers.UNIT)


@given(root=trees(), block=st.sampled_from([16, 64, 4096]))
@settings(deadline=None, max_examples=25)
def test_erase_blocks_add_up_to_the_image_and_the_rest_of_the_last_block(root, block):
    found = make_map(rom_image(root))
    listed = blocks(found, block)
    assert [inside.number for inside in listed] == list(range(-(-found.size // block)))
    assert all(inside.groups.total() == block for inside in listed)
    assert sum(inside.groups["free"] for inside in listed) == -found.size % block


SEEDS = [
    bytes(rom_image(tree({"a/x": b"x" * 90, "n.romfs": MAGIC + b"\x00", "e": None}), metadata=METADATA).view),
    bytes(rom_image(tree({"b": b"x" * 70, "c": b"x" * 70}), same={"c": "b"}, align=lambda _: 16, stable=True).view),
]


@given(seed=st.sampled_from(SEEDS), changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=4))
@settings(deadline=None, max_examples=200)
def test_cells_tile_every_damaged_image_that_the_reader_accepts(seed, changes):
    data = bytearray(seed)
    for at, value in changes:
        data[at % len(data)] = value
    try:
        image = RomImage(bytes(data))
    except ImageError:
        return
    assert_tiled(make_map(image))
