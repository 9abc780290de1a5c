"""Linux romfs: other readers read what is written, and our reader accepts only valid images."""

import shutil
import struct
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatch_romfs.errors import BuildError, ImageError
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.image import LinuxImage
from hatch_romfs.formats.linux.layout import lay_out
from hatch_romfs.formats.linux.writer import image_chunks
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.tree import Directory, File, MemoryContent, Special, Symlink, walk
from tests import judges
from tests.trees import ASCII_NAMES, file, romfs_trees, shape, tree

SAFE_NAMES = st.text("abcXYZ019_-", min_size=1, max_size=20)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def image_of(root, volume="vol", **how):
    return b"".join(image_chunks(lay_out(root, volume, same=hard_links(root), **how)))


@given(root=romfs_trees(ASCII_NAMES), volume=st.text(max_size=40).filter(lambda name: "\0" not in name))
@settings(deadline=None)
def test_what_is_written_is_read(root, volume):
    made = image_of(root, volume)
    assert len(made) % headers.BLOCK == 0
    with LinuxImage(made) as image:
        assert (image.name, image.size, image.format) == (volume, len(made), "linux")
        assert shape(image.root) == shape(root)
    with LinuxImage(made + b"\xff" * 100) as image:
        assert image.size == len(made)


@given(root=romfs_trees(ASCII_NAMES), boundary=st.sampled_from([1, 16, 64, 4096, 8192]))
@settings(deadline=None, max_examples=50)
def test_data_begins_where_it_is_asked_to(root, boundary):
    layout = lay_out(root, "v", align=lambda _, node: boundary if isinstance(node, File) else 1, same=hard_links(root))
    for record in layout.records:
        assert record.header.offset % 16 == 0
        if record.kind == headers.FILE:
            assert record.header.data % boundary == 0


# Independent readers


@pytest.fixture(scope="module")
def grub():
    command = judges.command("grub-fstest")

    def run(image, *words):
        done = subprocess.run([command, image, *words], capture_output=True, timeout=60, check=True)
        assert not done.stderr
        return done.stdout

    return run


@given(root=romfs_trees(SAFE_NAMES))
@few
def test_grub_reads_what_went_in(root, grub, tmp_path):
    root.entries["filler"] = file(bytes(512))  # GRUB takes nothing below 512 bytes for an image, genromfs's neither
    image = tmp_path / "image"
    image.write_bytes(image_of(root))
    for path, node in [("", root), *walk(root)]:
        if isinstance(node, Directory):
            shown = grub(image, "ls", f"(loop0)/{path}/").decode().split()
            assert sorted(shown) == sorted(
                name + "/" * isinstance(inside, Directory) for name, inside in node.entries.items()
            )
        elif isinstance(node, File):
            assert grub(image, "cat", f"(loop0)/{path}") == node.read()


@given(root=romfs_trees(ASCII_NAMES))
@few
def test_another_reader_in_python_reads_what_went_in(root, tmp_path):
    command = judges.command("romfs")
    image = tmp_path / "image"
    image.write_bytes(image_of(root))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    subprocess.run([command, "unpack", image, "-o", tmp_path / "out"], capture_output=True, timeout=60, check=True)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    for path, node in walk(root):
        if isinstance(node, File) and node.size:  # it leaves out what is empty
            assert (tmp_path / "out" / path).read_bytes() == node.read()
    assert found <= {path for path, _ in walk(root)}


# What the format cannot hold


def test_content_that_the_format_does_not_support_is_named():
    root = tree({"a/" + "n" * 128: b"x", "ok": b""})
    root.entries["dev"] = Special("block device", "t", 65536, 0)
    with pytest.raises(BuildError) as caught:
        lay_out(root, "v")
    assert "n" * 128 + ": its name is 128 bytes long, the maximum is 127" in caught.value.message
    assert "dev: the device 65536, 0: above 65535" in caught.value.message
    image_of(tree({"n" * 127: b"x"}))
    with pytest.raises(BuildError, match="the name of the volume is longer than 127 bytes"):
        lay_out(Directory(), "v" * 128)


def test_an_image_that_is_too_large():
    class Huge:
        size = 0xFFFF_FC00

        def chunks(self):
            raise AssertionError

    with pytest.raises(BuildError, match="that its format can address"):
        lay_out(Directory({"a": File(Huge(), "t")}), "v")


# Hostile images


ROOT = {"a": b"hello", "d/b": b"x" * 600, "d/e/c": b"", "z": b"last"}


@pytest.fixture
def sound():
    root = tree(ROOT)
    root.entries["l"] = Symlink("a", "t")
    root.entries["hard"] = root.entries["a"]
    root.entries["hard2"] = root.entries["a"]
    root.entries["dev"] = Special("character device", "t", 4, 1)
    root.entries["ff"] = Special("fifo", "t")
    return bytearray(image_of(root))


def heads(image):
    """Return the offset of every header by its name, the first of each."""
    with LinuxImage(bytes(image)):
        pass
    found, todo, seen = {}, [32], set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        word, info = struct.unpack_from(">2I", image, at)
        name = bytes(image[at + 16 : image.index(0, at + 16)]).decode()
        if name not in (".", ".."):
            found[name] = at
            if word & 7 == headers.DIRECTORY:
                todo.append(info)
        if word & ~15:
            todo.append(word & ~15)
    return found


def patch(image, at, word):
    """Change a word of the header that it is in, and put the checksums right again."""
    struct.pack_into(">I", image, at, word)
    resum(image, at & ~15)


def resum(image, head):
    name_end = image.index(0, head + 16)
    size = headers.header_size(bytes(image[head + 16 : name_end]))
    struct.pack_into(">I", image, head + 12, 0)
    struct.pack_into(">I", image, head + 12, -headers.checksum(image[head : head + size]) & 0xFFFF_FFFF)
    struct.pack_into(">I", image, 12, 0)
    struct.pack_into(">I", image, 12, -headers.checksum(image[:512]) & 0xFFFF_FFFF)


def refusal(image):
    with pytest.raises(ImageError) as caught:
        LinuxImage(bytes(image))
    assert caught.value.status == 3
    return caught.value


def test_a_wrong_checksum_is_found_wherever_it_is(sound):
    for at in heads(sound).values():
        for byte in (at, at + 5, at + 9, at + 13, at + 16):
            image = sound.copy()
            image[byte] ^= 0x40
            struct.pack_into(">I", image, 12, 0)
            struct.pack_into(">I", image, 12, -headers.checksum(image[:512]) & 0xFFFF_FFFF)
            error = refusal(image)
            assert (error.offset, error.what) == (at + 12, "the checksum of a header is wrong")
    image = sound.copy()
    image[100] ^= 1
    assert refusal(image).offset == 12


def word(image, at):
    return struct.unpack_from(">I", image, at)[0]


def test_next_pointers_that_loop(sound):
    at = heads(sound)
    patch(sound, at["z"], at["a"] | headers.FILE)
    error = refusal(sound)
    assert (error.what, error.offset) == ("a header is reached twice: the image has a loop", at["a"])


def test_a_directory_inside_itself(sound):
    at = heads(sound)
    patch(sound, at["e"] + 4, at["d"])
    assert refusal(sound).what == "a header is reached twice: the image has a loop"
    patch(sound, at["e"] + 4, 32)
    assert refusal(sound).offset == 32


def test_hard_links_that_loop(sound):
    at = heads(sound)
    patch(sound, at["hard"] + 4, at["hard2"])
    patch(sound, at["hard2"] + 4, at["hard"])
    error = refusal(sound)
    assert (error.what, error.offset) == ("hard links that lead to one another: a loop", at["hard"])


@pytest.mark.parametrize(
    ("to", "what"),
    [
        (lambda at: at["d"], "the target of a hard link is a directory"),
        (lambda at: 32, "the target of a hard link is a directory"),
        (lambda at: at["a"] + 16, "the target of a hard link is not a header in the tree"),
        (lambda at: 0xFFFF_FFF0, "the target of a hard link is not a header in the tree"),
    ],
)
def test_hard_links_must_lead_to_files(to, what, sound):
    at = heads(sound)
    patch(sound, at["hard"] + 4, to(at))
    error = refusal(sound)
    assert (error.what, error.offset) == (what, at["hard"] + 4)


def test_a_long_chain_of_hard_links_takes_few_steps():
    root = tree({"a": b"x"})
    names = [f"l{number:05}" for number in range(20_000)]
    root.entries |= dict.fromkeys(names, root.entries["a"])
    image = bytearray(image_of(root))
    at = heads(image)

    def seconds():
        before = time.process_time()
        with LinuxImage(bytes(image)) as opened:
            assert opened.root.entries["l00000"] is opened.root.entries["a"]
        return time.process_time() - before

    without_a_chain = seconds()
    for link, to in zip(names, [*names[1:], "a"], strict=True):
        struct.pack_into(">I", image, at[link] + 4, at[to])
        resum(image, at[link])
    assert seconds() < 10 * without_a_chain


def test_a_chain_of_hard_links_is_followed(sound):
    at = heads(sound)
    patch(sound, at["hard2"] + 4, at["hard"])
    with LinuxImage(bytes(sound)) as image:
        assert image.root.entries["hard2"] is image.root.entries["a"]


@pytest.mark.parametrize("size", [1 << 20, 0xFFFF_FFFF, 0xFFFF_FFF0])
def test_sizes_past_the_end(size, sound):
    at = heads(sound)["z"]
    patch(sound, at + 8, size)
    error = refusal(sound)
    assert (error.what, error.offset) == (f"data of {size} bytes extends past the end of the image", at + 8)


def test_data_that_runs_into_the_next_header(sound):
    at = heads(sound)
    patch(sound, at["a"] + 8, 64)
    assert refusal(sound).what == "a header lies inside another's header or data"


@pytest.mark.parametrize("to", [0xFFFF_FFF0, 16])
def test_headers_where_none_can_be(to, sound):
    patch(sound, heads(sound)["a"], to | headers.FILE)
    error = refusal(sound)
    assert (error.what, error.offset) == (f"there cannot be a header at {to:#x}", to)


def test_a_name_without_an_end():
    image = bytearray(image_of(tree({"a": b""})))
    end = word(image, 8)
    image[end - 16 : end] = b"x" * 16
    struct.pack_into(">I", image, 12, 0)
    struct.pack_into(">I", image, 12, -headers.checksum(image[: min(512, end)]) & 0xFFFF_FFFF)
    error = refusal(image)
    assert (error.what, error.offset) == ("a name has no end, or is longer than the kernel reads", end - 16)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (b"a/b", "the name 'a/b' contains a '/' or a NUL"),
        (b"d", "the name 'd' appears twice in one directory"),
        (b"", "'' is not a name"),
        (b"..", "'..' does not lead to its directory"),
    ],
)
def test_bad_names(name, what, sound):
    at = heads(sound)["a"]
    sound[at + 16 : at + 32] = name.ljust(16, b"\0")
    resum(sound, at)
    assert refusal(sound).what == what


@pytest.mark.parametrize(
    ("name", "at", "value", "what"),
    [
        ("a", 4, 1, "a file or a symbolic link has an info word that is not 0"),
        ("ff", 4, 1, "a socket or a fifo has device numbers"),
        ("dev", 8, 1, "only files and symbolic links may have a size"),
        ("l", 8, 0, "the target of a symbolic link is empty, or contains a NUL"),
    ],
)
def test_words_that_must_be_zero(name, at, value, what, sound):
    head = heads(sound)[name]
    patch(sound, head + at, value)
    assert refusal(sound).what == what


def test_images_that_are_cut_short(sound):
    for size in (0, 5, 8, 16, 31, 100, 512, len(sound) - 1024):
        error = refusal(sound[:size])
        assert ("cut short" in error.what) == (size >= 8)
    assert refusal(sound + b"\xff\xffx").offset == len(sound) + 2
    sound[-1] = 1
    error = refusal(sound)
    assert (error.what.endswith("but other data follows it"), error.offset) == (True, len(sound) - 1)


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_image_gives_a_tree_or_an_error(data):
    image = bytearray(image_of(tree(ROOT)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(image) // 4 - 1)) * 4
        struct.pack_into(
            ">I", image, at, data.draw(st.integers(0, 0xFFFF_FFFF) | st.integers(0, 80).map(lambda n: n * 16))
        )
    for head in range(32, word(bytearray(image_of(tree(ROOT))), 8), 16):
        if data.draw(st.booleans()) and image.find(0, head + 16) > 0:
            resum(image, head)
    try:
        with LinuxImage(bytes(image)) as opened:
            shape(opened.root)
    except ImageError as error:
        offset = error.offset
        assert offset >= 0


def test_deep_trees():
    root = Directory({"f": file(b"x")})
    for _ in range(255):
        root = Directory({"d": root})
    with LinuxImage(image_of(root)) as image:
        assert image.file("d/" * 255 + "f").read() == b"x"
    with pytest.raises(ImageError, match="nested more than 255 deep"):
        LinuxImage(image_of(Directory({"d": root})))


def test_paths_are_bounded():
    root = Directory({"f": file(b"x")})
    for _ in range(33):  # of 128 bytes each
        root = Directory({"n" * 127: root})
    assert refusal(image_of(root)).what == "a path is longer than 4096 bytes"


def test_what_links_lead_to_is_bounded():
    image_of(Directory({"l": Symlink("x" * 4095, "t")}))
    error = refusal(image_of(Directory({"l": Symlink("x" * 4096, "t")})))
    assert error.what == "the target of a symbolic link is 4096 bytes long"


def test_the_micropython_format_has_no_links_and_devices():
    from hatch_romfs.formats.micropython.layout import lay_out as lay_out_micropython

    root = Directory({"l": Symlink("a", "t"), "dev": Special("fifo", "t"), "f": File(MemoryContent(b""), "t")})
    with pytest.raises(BuildError) as caught:
        lay_out_micropython(root)
    assert caught.value.message == "MicroPython's ROMFS cannot contain\ndev: fifo\nl: symbolic link to 'a'"
