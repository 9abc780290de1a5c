"""Linux romfs from end to end: building, the commands, and C source."""

import ctypes
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

from hatch_romfs import CArray, SettingsError, open_image
from hatch_romfs.errors import BuildError
from hatch_romfs.images.extract import extract
from tests import judges
from tests.commands import romfs_image
from tests.content import checked_build as build
from tests.trees import file, shape


@pytest.fixture
def root(tmp_path):
    """A plain folder with links, exec bits and a fifo."""
    root = tmp_path / "root fs"
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin/sh").write_bytes(b"#!" + bytes(300))
    (root / "bin/sh").chmod(0o755)
    os.link(root / "bin/sh", root / "bin/bash")
    (root / "init").symlink_to("bin/sh")
    (root / "broken").symlink_to("/somewhere/else")
    (root / "app.py").write_text("print('hello')\n")
    (root / "equal.py").write_text("print('hello')\n")
    (root / "grüße").write_bytes(b"")
    os.mkfifo(root / "pipe")
    return root


def setting(root, table, name="My.app"):
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n[tool.romfs]\nformat = "linux"\nsources = ["src"]\n{table}',
        encoding="utf-8",
    )


@pytest.fixture
def project(root):
    project = root.with_name("project")
    shutil.copytree(root, project / "src", symlinks=True, ignore=shutil.ignore_patterns("pipe", "bash"))
    os.link(project / "src/bin/sh", project / "src/bin/bash")
    setting(project, "")
    return project


def entries(image):
    found = json.loads(romfs_image("tree", image, "--json").stdout)["entries"]
    return {entry.pop("path"): entry for entry in found}


def test_any_folder(root, tmp_path):
    said = romfs_image("build", root, "--format", "linux", "-o", tmp_path / "image").stdout
    assert said.startswith(f"{tmp_path / 'image'}  1,024 bytes, 5 files, sha256 ")
    found = entries(tmp_path / "image")
    assert found["bin"] == {"type": "directory"}
    assert found["bin/bash"]["executable"] is True
    assert found["bin/sh"]["hard_link_to"] == "bin/bash"
    assert "hard_link_to" not in found["equal.py"]
    assert found["init"] == {"type": "link", "target": "bin/sh"}
    assert found["broken"] == {"type": "link", "target": "/somewhere/else"}
    assert found["pipe"] == {"type": "fifo"}
    document = json.loads(romfs_image("info", tmp_path / "image", "--json").stdout)
    assert (document["format"], document["name"], document["links"]) == ("linux", "rom", 2)
    romfs_image("verify", tmp_path / "image")
    assert romfs_image("cat", tmp_path / "image", "app.py").stdout == "print('hello')\n"
    assert "'init' is a symbolic link to 'bin/sh'" in romfs_image("cat", tmp_path / "image", "init", status=2).stderr
    romfs_image("build", root, "--format", "linux", "-o", tmp_path / "image", "--volume", "Ein Bänd")
    assert open_image(tmp_path / "image").name == "Ein Bänd"


def test_a_project(project):
    setting(project, "share = true")
    with open_image(build(project).path) as image:
        assert image.name == "My.app"
        assert image.find("equal.py") is image.find("app.py")
    setting(project, 'mpy = true\nalignment = { "*.mpy" = 4096 }\nlinux = { volume = "v" }\n')
    built = build(project)
    with open_image(built.path) as image:
        assert image.name == "v"
        assert image.find("equal.mpy") is not image.find("app.mpy")
        assert image.find("bin/sh") is image.find("bin/bash")  # hard links stay what they are
        assert image.file("app.mpy").content.offset % 4096 == 0
        assert image.file("app.mpy").read()[:1] == b"M"


def test_special_files_and_modes_by_the_table(project):
    setting(
        project,
        "[tool.romfs.linux]\n"
        'devices = { "dev/console" = "c 5 1", "dev/sda" = "b 8 0" }\n'
        'fifos = ["run/fifo"]\nsockets = ["run/socket"]\nexecutable = ["/app.py"]\n',
    )
    with open_image(build(project).path) as image:
        assert image.find("dev/console")[:1] + image.find("dev/console")[2:] == ("character device", 5, 1)
        assert image.find("dev/sda")[:1] + image.find("dev/sda")[2:] == ("block device", 8, 0)
        assert (image.find("run/fifo").kind, image.find("run/socket").kind) == ("fifo", "socket")
        assert image.file("app.py").executable
        assert not image.file("bin/sh").executable
    setting(project, '[tool.romfs.linux]\nfifos = ["app.py"]\n')
    with pytest.raises(
        BuildError, match="two sources for 'app.py' in the image: src/app.py and tool.romfs.linux.fifos"
    ):
        build(project)
    setting(project, '[tool.romfs.linux]\nfifos = ["app.py/x"]\n')
    with pytest.raises(BuildError, match="two sources for 'app.py' in the image"):
        build(project)


def test_links_that_are_followed(project):
    setting(project, "linux = { follow-symlinks = true }\n")
    with pytest.raises(BuildError, match="src/broken is a link to /somewhere/else, outside of src"):
        build(project)
    (project / "src/broken").unlink()
    with open_image(build(project).path) as image:
        assert image.file("init").read() == image.file("bin/sh").read()


AS_NOBODY = """
import os, pathlib, sys, threading
from hatch_romfs import build
from hatch_romfs.images.extract import extract
from hatch_romfs import LinuxImage, open_image
source, out = map(pathlib.Path, sys.argv[1:3])
os.umask(0o077)
build(source, out / "warm").path.unlink()  # all that is imported is imported: others may not read this Python
if os.geteuid() == 0:
    os.chown(out, 65534, 65534)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""


def as_nobody(code, source, out):
    """Run Python as a user who may do nothing."""
    for above in (out, *out.parents[:4]):
        above.chmod(above.stat().st_mode | 0o055)
    command = [sys.executable, "-c", AS_NOBODY + code, source, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=judges.REPO)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_equal_files_and_hard_links_are_one_file(project):
    (project / "src/a").write_bytes(b"same" * 100)
    (project / "src/b").write_bytes(b"same" * 100)
    os.link(project / "src/b", project / "src/c")
    setting(project, 'share = true\nalignment = { "c" = 4096 }\n')
    with open_image(build(project).path) as image:
        assert image.find("a") is image.find("b") is image.find("c")
        assert image.file("a").content.offset % 4096 == 0


def test_compiled_files_keep_their_exec_bits(project):
    (project / "src/bin/tool.py").write_text("x = 1\n")
    setting(project, 'mpy = true\nlinux = { executable = ["bin/*"] }\n')
    with open_image(build(project).path) as image:
        assert image.file("bin/tool.mpy").executable


def test_the_same_bytes_everywhere(project, tmp_path):
    """In another folder, made in another order, at another time, under another umask and by another user."""
    first = build(project).sha256
    other = tmp_path / "elsewhere/ganz woanders"
    (other / "src/empty").mkdir(parents=True)
    (other / "src/grüße").touch()
    (other / "src/bin").mkdir()
    (other / "src/broken").symlink_to("/somewhere/else")
    for name in ("equal.py", "app.py", "bin/sh"):
        shutil.copy(project / "src" / name, other / "src" / name)
        os.utime(other / "src" / name, (5, 5))
    os.link(other / "src/bin/sh", other / "src/bin/bash")
    (other / "src/init").symlink_to("bin/sh")
    setting(other, "")
    (tmp_path / "out").mkdir()
    assert as_nobody("print(build(source, out / 'image').sha256)", other, tmp_path / "out").strip() == first


# Back to a disk


def test_extract_gives_back_what_went_in(root, tmp_path):
    built = build(root, tmp_path / "image", overrides={"format": "linux", "linux": {"sockets": ["sock"]}})
    said = romfs_image("extract", built.path, "-o", tmp_path / "out")
    assert not said.stderr
    assert (tmp_path / "out/init").readlink().as_posix() == "bin/sh"
    assert stat.S_ISFIFO((tmp_path / "out/pipe").stat().st_mode)
    assert stat.S_ISSOCK((tmp_path / "out/sock").stat().st_mode)
    assert (tmp_path / "out/bin/sh").samefile(tmp_path / "out/bin/bash")
    assert os.access(tmp_path / "out/bin/sh", os.X_OK)
    assert not (tmp_path / "out/app.py").stat().st_mode & 0o111
    again = build(tmp_path / "out", tmp_path / "again", overrides={"format": "linux"})
    with open_image(again.path) as one, open_image(built.path) as two:
        assert shape(one.root) == shape(two.root)


def test_extract_lists_what_it_skipped(root, tmp_path):
    devices = {"console": "c 5 1"}
    built = build(root, tmp_path / "image", overrides={"format": "linux", "linux": {"devices": devices}})
    (tmp_path / "new").mkdir()
    (tmp_path / "folder").mkdir()
    code = f"image = open_image({str(built.path)!r})\nprint(extract(image, out / 'out').skipped)"
    said = as_nobody(code, tmp_path / "folder", tmp_path / "new")
    assert said == "('console: character device: Operation not permitted',)\n"
    assert (tmp_path / "new/out/app.py").exists()


def test_extract_is_not_led_outside(tmp_path):
    """A link and a file of one name, or a file below a link, cannot be: names are there once, links hold nothing."""
    from hatch_romfs.formats.linux.image import LinuxImage
    from hatch_romfs.formats.linux.layout import lay_out
    from hatch_romfs.formats.linux.writer import image_chunks
    from hatch_romfs.tree import Directory, Symlink

    outside = tmp_path / "outside"
    outside.mkdir()
    tree = Directory(
        {"a": Symlink(str(outside), "t"), "b": Directory({"x": file(b"1"), "up": Symlink("../../..", "t")})}
    )
    data = bytearray(b"".join(image_chunks(lay_out(tree, "v"))))
    extract(LinuxImage(bytes(data)), tmp_path / "out")
    assert not list(outside.iterdir())
    assert (tmp_path / "out/b/x").read_bytes() == b"1"


# C source


@pytest.mark.parametrize("format_", ["linux", "micropython"])
def test_c_source_contains_the_image(format_, root, tmp_path):
    (root / "pipe").unlink()
    (root / "broken").unlink()
    (root / "init").unlink()
    built = build(root, tmp_path / "image", overrides={"format": format_, "alignment": {"app.*": 64}})
    options = ("--emit", "c", "--symbol", "rom_img", "--section", ".rodata.rom")
    align = ("--align", "app.*=64", "--format", format_)
    romfs_image("build", root, *align, "-o", tmp_path / "a.c", *options)
    romfs_image("build", tmp_path / "image", "-o", tmp_path / "b.c", *options)
    source = (tmp_path / "a.c").read_text()
    assert source.startswith(f"const unsigned char rom_img[{built.size}] __attribute__((aligned(64), section(")
    assert (tmp_path / "b.c").read_text().splitlines()[1:] == source.splitlines()[1:]
    compiler = judges.command("cc")
    library = tmp_path / "rom.so"
    subprocess.run([compiler, "-shared", "-Wall", "-Werror", "-o", library, tmp_path / "a.c"], check=True)
    loaded = ctypes.CDLL(str(library))
    assert ctypes.c_uint.in_dll(loaded, "rom_img_len").value == built.size
    array = (ctypes.c_ubyte * built.size).in_dll(loaded, "rom_img")
    assert hashlib.sha256(bytes(array)).hexdigest() == built.sha256
    assert ctypes.addressof(array) % 64 == 0


CHANGE = """#include <stdio.h>
#include <string.h>
#include "rom.h"
int main(void) {
#ifdef WRITABLE
    rom_img[0] ^= 0xff;
    rom_img[0] ^= 0xff;
#endif
    return fwrite(rom_img, 1, rom_img_len, stdout) == sizeof rom_img ? 0 : 1;
}
"""


@pytest.mark.parametrize("writable", [False, True])
def test_a_c_program_uses_the_header(writable, root, tmp_path):
    built = build(root, tmp_path / "image", overrides={"format": "linux"})
    options = ["--no-const", "--section", ".data.rom"] if writable else []
    command = ("build", built.path, "-o", tmp_path / "rom.c", "--emit", "c", "--header", "--symbol", "rom_img")
    romfs_image(*command, *options)
    romfs_image(*command, *options)  # replaces both files
    (tmp_path / "main.c").write_text(CHANGE)
    flags = ["-Wall", "-Wextra", "-Werror", "-std=gnu99", *(["-DWRITABLE"] if writable else [])]
    sources = [tmp_path / "main.c", tmp_path / "rom.c"]
    subprocess.run([judges.command("cc"), *flags, "-o", tmp_path / "main", *sources], check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert done.stdout == built.path.read_bytes()
    refused = subprocess.run(
        [judges.command("cc"), "-DWRITABLE", "-fsyntax-only", tmp_path / "main.c"], capture_output=True, check=False
    )
    assert (refused.returncode == 0) == writable


def test_the_summary_describes_the_c_source(root, tmp_path):
    source = tmp_path / "rom.c"
    command = ("build", root, "-o", source, "--format", "linux", "--emit", "c", "--symbol", "rom", "--header")
    said = romfs_image(*command).stdout
    built = json.loads(romfs_image(*command, "--json").stdout)
    size = source.stat().st_size
    image = f"const array rom of {built['size']:,} bytes, {built['files']} files, image sha256 {built['sha256']}"
    assert said == f"{source}  {size:,} bytes: {image}\n{tmp_path / 'rom.h'}  declares rom and rom_len\n"
    assert built["path"] == str(source)
    assert built["c"] == {
        "symbol": "rom",
        "section": None,
        "const": True,
        "bytes": built["size"],
        "source_size": size,
        "header": str(tmp_path / "rom.h"),
    }


def test_a_header_replaces_only_a_header(root, tmp_path):
    (tmp_path / "rom.h").write_text("int mine;\n")
    options = ("--format", "linux", "--emit", "c", "--header")
    done = romfs_image("build", root, "-o", tmp_path / "rom.c", *options, status=2)
    assert "rom.h already exists and is not a header of an image" in done.stderr
    assert not (tmp_path / "rom.c").exists()
    done = romfs_image("build", root, "-o", tmp_path / "new.h", *options, status=2)
    assert "new.h would be both source and header" in done.stderr


def test_c_source_replaces_only_c_source(root, tmp_path):
    array = CArray()
    (tmp_path / "mine.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(SettingsError, match=r"mine\.c already exists and is not a C array of an image"):
        build(root, tmp_path / "mine.c", overrides={"format": "linux"}, emit=array)
    first = build(root, tmp_path / "rom.c", overrides={"format": "linux"}, emit=array)
    assert build(root, tmp_path / "rom.c", overrides={"format": "linux"}, emit=array) == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--emit", "c", "--symbol", "a-b"], "--symbol: 'a-b' is not a valid name in C"),
        (["--emit", "c", "--section", 'x"'], "--section: 'x\"' is not a valid section name"),
        (["--emit", "c", "--symbol", "int"], "--symbol: 'int' is not a valid name in C"),
        (["--symbol", "x"], "--symbol needs --emit c"),
        (["--header"], "--header needs --emit c"),
        (["--no-const"], "--no-const needs --emit c"),
        (["--volume", "x"], '--volume: is only for format = "linux"'),
        (["--format", "linux", "--volume", ""], "must be 1 to 127 bytes"),
    ],
)
def test_usage(options, message, tmp_path):
    (tmp_path / "folder").mkdir()
    assert message in romfs_image("build", tmp_path / "folder", *options, status=2).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_nothing_runs_from_an_image_for_linux(root, tmp_path):
    built = build(root, tmp_path / "image", overrides={"format": "linux"})
    assert "is not a MicroPython image" in romfs_image("run", built.path, "-c", "1", status=2).stderr


def test_an_image_for_linux_is_not_for_boards(root, tmp_path):
    from hatch_romfs import BoardError, flash

    built = build(root, tmp_path / "image", overrides={"format": "linux"})
    with pytest.raises(BoardError, match="is (no|not a) MicroPython image"):
        flash(built.path, "/dev/nowhere")


@pytest.fixture
def latin(tmp_path):
    """A folder with names in Latin-1, which are not UTF-8."""
    root = tmp_path / "latin"
    folder = root / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"gr\xfc\xdfe.txt")).write_bytes(b"hello")
    (folder / os.fsdecode(b"\xff")).symlink_to(os.fsdecode(b"gr\xfc\xdfe.txt"))
    return root


def test_names_that_are_not_utf_8_are_those_of_genromfs(latin, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    romfs_image("build", latin, "-o", ours, "--format", "linux", "--volume", "v")
    command = [sys.executable, "-m", "hatch_romfs.genromfs", "-V", "v", "-d", latin, "-f", tmp_path / "front", "-v"]
    listed = subprocess.run(command, check=True, capture_output=True)
    assert b"caf\\xe9" in listed.stdout
    subprocess.run([judges.command("genromfs"), "-V", "v", "-d", latin, "-f", theirs], check=True)
    assert ours.read_bytes() == (tmp_path / "front").read_bytes()
    with open_image(ours) as first, open_image(theirs) as second:  # genromfs has the order of the disk
        assert shape(first.root) == shape(second.root)


def test_names_that_are_not_utf_8_survive_every_command(latin, tmp_path):
    image, path = tmp_path / "image", os.fsdecode(b"caf\xe9/gr\xfc\xdfe.txt")
    built = build(latin, image, overrides={"format": "linux", "inventory": True})
    lines = romfs_image("tree", image).stdout
    assert r"caf\xe9/gr\xfc\xdfe.txt" in lines
    assert r"caf\xe9/\xff -> gr\xfc\xdfe.txt" in lines
    assert set(entries(image)) == {os.fsdecode(b"caf\xe9"), path, os.fsdecode(b"caf\xe9/\xff")}
    assert "files:" in romfs_image("info", image).stdout
    assert romfs_image("cat", image, path).stdout == "hello"
    assert romfs_image("verify", image, "--inventory", built.inventory).stdout
    romfs_image("extract", image, "-o", tmp_path / "out")
    folder = tmp_path / "out" / os.fsdecode(b"caf\xe9")
    assert os.fsencode((folder / os.fsdecode(b"\xff")).readlink()) == b"gr\xfc\xdfe.txt"
    assert (folder / os.fsdecode(b"gr\xfc\xdfe.txt")).read_bytes() == b"hello"


def test_a_volume_that_is_not_utf_8_can_be_read(latin, tmp_path):
    image = tmp_path / "image"
    subprocess.run([judges.command("genromfs"), "-V", b"v\xe9", "-d", latin, "-f", image], check=True)
    assert r"v\xe9" in romfs_image("info", image).stdout


def test_micropython_has_no_names_that_are_not_utf_8(latin, tmp_path):
    text = romfs_image("build", latin, "-o", tmp_path / "image", status=1).stderr
    assert r"the name 'caf\xe9' is not valid UTF-8" in text
    assert not (tmp_path / "image").exists()
