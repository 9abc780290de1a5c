"""What a debugger or a prompt shows of public objects: a short line that says what they are, and never their bytes."""

import inspect
from pathlib import Path

import pytest

import hatch_romfs
import romfs_manifest
from hatch_romfs.board.plan import Geometry, Plan, Step
from hatch_romfs.board.probe import Board, Partition
from hatch_romfs.errors import Problem
from hatch_romfs.formats.image import image_content
from hatch_romfs.tree import Directory, DiskContent, File, MemoryContent, NestedImage, Special, Symlink
from tests.projects import make_project

DATA = b"DATA" * 1000
TEXTS = ("text",) * 2000


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """An object of every public class, large where it can be."""
    root = make_project(tmp_path_factory.mktemp("reprs") / "app", {f"{number}.bin": DATA for number in range(300)})
    linux = hatch_romfs.build(root, root.parent / "linux", overrides={"format": "linux"})
    built = hatch_romfs.build(root, root.parent / "image")
    image = hatch_romfs.open_image(built.path)
    partition = Partition(0, "object", Geometry(1 << 20, 4096, 256, "blocks"), 1, None, 1 << 28, DATA[:512])
    able = dict.fromkeys(("sha256", "crc32", "deflate", "base64", "fromhex", "stream"), True)
    board = Board("A board", "1.29.0", "rp2", 2822, 1, partitions=(partition,) * 16, **able)
    plan = Plan((Step("write", 0, 4096),) * 1000, 3)
    entry = romfs_manifest.Entry("a.py", Path("/src/a.py"), "mpy", None, Path("/src/manifest.py"), 1, None)
    locked = romfs_manifest.LockedFile("a.py", "https://micropython.org/pi/v2/file/01/0123", "0" * 64, 4)
    package = romfs_manifest.LockedPackage("a", "1.0", (), (locked,) * 1000)
    public = [
        built,
        hatch_romfs.BoardError("text", hint="hint"),
        hatch_romfs.BuildError("text"),
        hatch_romfs.CArray(),
        hatch_romfs.FlashResult(board, partition, plan, 4096, 1, 1, 0, mounted=True),
        hatch_romfs.ImageError("text", offset=1),
        hatch_romfs.LinkError("text"),
        hatch_romfs.open_image(linux.path),
        hatch_romfs.PartitionListing(partition, image.root),
        hatch_romfs.PortOptions("COM5"),
        hatch_romfs.Progress("writing", 1, 2),
        image,
        hatch_romfs.RomfsError("text"),
        hatch_romfs.SettingsError([Problem("tool.romfs.size", "text")]),
        hatch_romfs.VerifyError("text"),
        entry,
        romfs_manifest.Lock(("a",), (package,) * 1000, "https://micropython.org/pi/v2", "py"),
        locked,
        package,
        romfs_manifest.Manifest({}, (entry,) * 1000, TEXTS, ()),
        romfs_manifest.ManifestError("text"),
    ]
    file = image.file("1.bin")
    reached = [board, partition, plan, Problem("key", "text"), image.root, file, image.open("1.bin", "rb")]
    reached += [image_content(file), MemoryContent(DATA), DiskContent("/a", 1, 1, (1, 1))]
    reached += [Directory({"a": File(MemoryContent(DATA), "/src/a")}), Symlink("target", "/a"), Special("fifo", "/a")]
    reached.append(NestedImage(Directory(), None, "/a"))
    return {type(one): one for one in [*public, *reached]}


def public_classes():
    modules = (hatch_romfs, romfs_manifest)
    return {one for module in modules for name in module.__all__ if inspect.isclass(one := getattr(module, name))}


def test_every_public_class_has_a_short_repr_that_names_it(objects):
    assert public_classes() <= set(objects)
    for kind, one in objects.items():
        text = repr(one)
        assert text.startswith((f"{kind.__name__}(", f"<{kind.__name__}")), text
        assert len(text) < 500, text
        assert "\n" not in text
        assert "object at 0x" not in text
        assert "DATA" not in text


def test_reprs_say_what_one_looks_for(objects):
    by_name = {kind.__name__: repr(one) for kind, one in objects.items()}
    assert "image': " in by_name["BuildResult"]
    assert "300 files" in by_name["BuildResult"]
    assert by_name["ImageDirectory"] == "<ImageDirectory: 300 entries>"
    assert by_name["RomFile"] == "<RomFile at 0 of 4,000 bytes>"
    assert by_name["Problem"] == "Problem('key', 'text')"
    assert by_name["LockedPackage"] == "<LockedPackage 'a 1.0': 1,000 files>"
    assert by_name["Board"] == "<Board 'A board': MicroPython '1.29.0', partitions: 16>"


def test_a_closed_file_has_a_repr(objects):
    image = objects[hatch_romfs.RomImage]
    with image.open("1.bin", "rb") as file:
        pass
    assert repr(file) == "<RomFile closed>"


@pytest.mark.parametrize("module", [hatch_romfs, romfs_manifest])
def test_dir_lists_what_is_public(module):
    assert {*module.__all__} <= set(dir(module)) <= {*module.__all__, "__version__"}
