"""Deliberate mistakes: one message that says what is wrong, where, and what to do; the right status; nothing left.

Each row is a folder with one mistake in it, or a command with one.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_romfs import build
from hatch_romfs.cli import command, flash, genromfs, image, manifest
from tests.board.boards import coded, image_bytes
from tests.projects import make_project

PROGRAMS = {
    "romfs-image": image.command,
    "romfs-flash": flash.command,
    "romfs-manifest": manifest.command,
    "genromfs": genromfs.command,
}
IDENTITY = "[project]\nname = 'app'\nversion = '1'\n"
IMAGE = coded({"main.py": b"x = 1\n"})
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"
ENCODING = "Save it as UTF-8, or declare its encoding on line 1 or 2"
CODE_HINT = "Use the .py file instead, or set tool.romfs.mpy.arch to the board's."
SIM = ("--port", "sim:?size=8K")

Files = Mapping[str, str | bytes]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes in folders nor names in Latin-1")


class Mistake(NamedTuple):
    """A folder with ``files``, changed by ``setup``; a command that runs in it; its status and what it prints.

    ``message`` begins the line of the error, and ``hint`` is somewhere in what follows; both are without the folder.
    """

    files: Files
    command: str
    status: int
    message: str
    hint: str = ""
    setup: Callable[[Path], object] = lambda root: None


def project(table: str = "", files: Files | None = None, identity: str = IDENTITY) -> dict[str, str | bytes]:
    return {"pyproject.toml": f"{identity}[tool.romfs]\n{table}", "src/app.py": "x = 1\n", **(files or {})}


def setting(table: str, message: str, hint: str, files: Files | None = None) -> Mistake:
    """Return a mistake in [tool.romfs]."""
    return Mistake(project(table, files), "romfs-image build", 2, f"tool.romfs.{message}", hint)


def source(path: str, data: str | bytes, message: str, hint: str = "", table: str = "") -> Mistake:
    """Return a mistake in a file of the project."""
    return Mistake(project(table, {path: data}), "romfs-image build", 1, message, hint)


def option(words: str, message: str, hint: str = "", *, status: int = 2, files: Files | None = None) -> Mistake:
    """Return a mistake in the options of a build."""
    return Mistake(project("", files), f"romfs-image build {words}", status, message, hint)


def on_image(words: str, data: bytes, status: int, message: str, hint: str = "") -> Mistake:
    """Return a mistake about an image file, a.romfs."""
    return Mistake({"a.romfs": data, "full/file": "1"}, f"romfs-image {words}", status, message, hint)


def on_page(words: str, message: str, hint: str = "", *, status: int = 2) -> Mistake:
    """Return a mistake about a page for a.romfs."""
    return on_image(f"page a.romfs {words}", IMAGE, status, message, hint)


def on_board(words: str, status: int, message: str, hint: str = "", data: bytes = IMAGE) -> Mistake:
    """Return a mistake about flashing a.romfs."""
    return Mistake({"a.romfs": data, "plain/main.py": ""}, f"romfs-flash {words}", status, message, hint)


def foreign_image(root: Path) -> None:
    """Put the image of another project where that of this one would be written."""
    identity = "[project]\nname = 'other'\nversion = '1'\n"
    with tempfile.TemporaryDirectory() as folder:
        other = make_project(Path(folder), project(identity=identity))
        build(other, root / "dist/app.romfs")


SETTINGS = {
    "an unknown key": setting("shara = true", "shara: unknown key; did you mean 'share'?", "settings` describes every"),
    "a link of the page": setting(
        'page.links.Support = "javascript:x"',
        'page.links."Support": must be a link such as',
        "`romfs-image settings page`",
    ),
    "a mistyped key of the page": setting(
        'page.markr = "x"', "page.markr: unknown key; did you mean 'maker'?", "`romfs-image settings page`"
    ),
    "a number for a version": setting(
        "mpy.micropython = 1.22",
        'mpy.micropython: must be a MicroPython release such as "1.27", not a float: put it in quotes',
        "`romfs-image settings mpy` describes this key.",
    ),
    "no power of two": setting(
        "alignment = 3", "alignment: must be a power of two", "`romfs-image settings alignment`"
    ),
    "a wrong unit": setting('size = "128 KB"', 'size: must be a size such as "128 KiB"', "Fix pyproject.toml."),
    "an unknown board": setting('board = "OPENMV_N66"', "board: must be a board", "Fix pyproject.toml."),
    "a placeholder": setting('filename = "{nam}.romfs"', "filename: can contain {name}", "Fix pyproject.toml."),
    "folders in a name": setting(
        'filename = "a/b.romfs"', "filename: must be the name of a file", "Fix pyproject.toml."
    ),
    "a layout of the other format": setting(
        'format = "linux"\nlayout = "stable"', 'layout: "stable" is only for format = "micropython"', "Fix"
    ),
    "native code for no board": setting('mpy.emit = "native"', 'mpy.emit: "native" needs tool.romfs.mpy.arch', "Fix"),
    "a release that is too old": setting(
        'mpy.micropython = "1.12"',
        "mpy.micropython: no compiler for MicroPython 1.12; the oldest supported is 1.19",
        "",
    ),
    "one file for two images": setting(
        'images = { a = { filename = "x" }, b = { filename = "x" } }',
        "images: a and b would both be written to dist/x",
        "Give each image its own filename",
    ),
    "embed without a plugin": setting(
        "embed = true", "embed: the project's build backend does not add the image to wheels", "Add hatch-romfs to"
    ),
    "a device number": setting(
        'format = "linux"\nlinux.devices = { "dev/x" = "c 5000 1" }',
        'linux.devices."dev/x": has the major number 5000',
        "`romfs-image settings linux`",
    ),
    "a missing source": setting('sources = ["source"]', "sources[0]: source does not exist", "relative to pyproject"),
    "a source that is a file": setting(
        'sources = ["src/app.py"]', "sources[0]: src/app.py is not a folder; name its parent folder", "relative to"
    ),
    "poetry's own table": Mistake(
        {"pyproject.toml": "[tool.poetry]\nname = 'app'\nversion = '1'\n[tool.romfs]\n"},
        "romfs-image build",
        2,
        "project: pyproject.toml needs a [project] table with a name; move `name` and `version` there from [tool.poet",
        "Fix pyproject.toml.",
    ),
    "no version": Mistake(
        project(identity="[project]\nname = 'app'\n"),
        "romfs-image build",
        2,
        "project.version: is missing: add it",
        "Fix",
    ),
    "broken TOML": Mistake(
        project("size =\n"), "romfs-image build", 2, "pyproject.toml: not valid TOML: Invalid value (at line 5, column"
    ),
    "a byte order mark": Mistake(
        {"pyproject.toml": b"\xef\xbb\xbf[tool.romfs]\n"},
        "romfs-image build",
        2,
        "pyproject.toml:1: begins with a byte order mark",
        "Save it as UTF-8 without BOM.",
    ),
    "a table in Latin-1": Mistake(
        {"pyproject.toml": b"# \xfc\n[tool.romfs]\n"},
        "romfs-image build",
        2,
        "pyproject.toml:1: the text is not valid UTF-8: byte 0xfc",
        "Save it as UTF-8.",
    ),
}
SOURCES = {
    "two sources for a file": source(
        "more/app.py", "", "two sources for 'app.py' in the image: src/app.py and more/app.py", "Exclude or rename",
        table='sources = ["src", "more"]',
    ),
    "a module beside its code": source(
        "src/app.mpy", b"M\x06\0\x1f", "two sources for 'app.mpy' in the image: src/app.py, compiled, and", "Exclude "
    ),
    "a link out of the folder": source("x", "", "src/out is a link to /etc, outside of src", "Copy the file")._replace(
        setup=lambda root: (root / "src/out").symlink_to("/etc")
    ),
    "a link to itself": source("x", "", "cannot follow src/loop: Too many levels", "Exclude it.")._replace(
        setup=lambda root: (root / "src/loop").symlink_to("loop")
    ),
    "a pipe": source("x", "", "src/pipe is a fifo, which an image cannot contain", "Exclude it.")._replace(
        setup=lambda root: os.mkfifo(root / "src/pipe")
    ),
    "a name in Latin-1": source("x", "", r"src: the name '\xfc.txt' is not valid UTF-8", "Rename it")._replace(
        setup=lambda root: Path(os.fsdecode(os.fsencode(root) + b"/src/\xfc.txt")).touch()
    ),
    "a module in Latin-1": source("src/a.py", b"x = '\xe9'", "src/a.py:1: the text is not valid UTF-8: byte", ENCODING),
    "an unknown encoding": source("src/a.py", "# coding: latin-0\n", "src/a.py:1: unknown encoding", ENCODING),
    "two encodings": source("src/a.py", b"\xef\xbb\xbf# coding: latin-1\n", "src/a.py:1: the text declares", ENCODING),
    "a syntax error": source("src/a.py", "x = 1\ndef f(:\n", "src/a.py:2: SyntaxError: invalid syntax"),
    "CircuitPython": source("src/a.mpy", b"C\x06\0\x1f", "src/a.mpy is compiled for CircuitPython", CODE_HINT),
    "an old .mpy": source("src/a.mpy", b"M\x05\0\x1f", "src/a.mpy is .mpy version 5; boards load 6", CODE_HINT),
    "a .mpy that is none": source("src/a.mpy", b"\x7fELF", "src/a.mpy is not a .mpy file", CODE_HINT),
    "another architecture": source(
        "src/a.mpy", b"M\x06\x2b\x1f", "src/a.mpy is xtensawin code, and tool.romfs.mpy.arch is armv7em", CODE_HINT,
        table='mpy.arch = "armv7em"',
    ),
    "a Git LFS pointer": source("src/a.bin", POINTER, "src/a.bin is a Git LFS pointer", "Run `git lfs pull`."),
    "an empty model": source("src/a.tflite", b"", "src/a.tflite is empty, but should be a model", "Restore the file"),
    "too much for the partition": source(
        "src/a.bin", bytes(9999), "the image is 10,214 bytes, 6,118 more than the 4,096 of tool.romfs.size",
        "Exclude files", table="size = 4096",
    ),
}  # fmt: skip
MANIFESTS = {
    "no manifest": source("x", "", "cannot read {}manifest.py: No such file", "Check that", 'manifest = "manifest.py"'),
    "a manifest that ends early": source(
        "manifest.py", "module(", "{}manifest.py:1:7: invalid syntax", "calls, assignments", 'manifest = "manifest.py"'
    ),
    "an unknown function": source(
        "manifest.py", "modul('a')", "{}manifest.py:1:1: manifests have no function 'modul'; did you mean 'module'?",
        "The functions are", 'manifest = "manifest.py"',
    ),
    "a manifest's missing file": source(
        "manifest.py", "module('a.py')", "{}manifest.py:1:1: the file {}a.py does not exist", "Name an existing file",
        'manifest = "manifest.py"',
    ),
    "no lock": source("x", "", "romfs.lock does not exist", "Run 'romfs-manifest lock'", 'dependencies = ["aioble"]'),
    "a merged lock": source(
        "romfs.lock", "<<<<<<< HEAD\n", "romfs.lock contains conflict markers", "which makes it",
        'dependencies = ["aioble"]',
    ),
    "no dependencies": Mistake(
        project(), "romfs-manifest check", 2, "pyproject.toml has no dependencies in [tool.romfs]", "Add: dependencies"
    ),
    "a variable without a value": Mistake(
        {"manifest.py": ""}, "romfs-manifest show manifest.py --var X", 2, "--var: 'X' has no value", "NAME=VALUE"
    ),
}  # fmt: skip
OUTPUTS = {
    "dist is a file": option("", "dist is not a folder", "Remove or rename it", files={"dist": "precious"}),
    "another file": option("-o x", "x already exists and is not a ROMFS image", "another output", files={"x": "1"}),
    "a folder as output": option("-o src", "src already exists and is not a file", "Choose another output."),
    "an output below a file": option("-o src/app.py/x", "src/app.py is not a folder", "choose another output."),
    "no permission": option("-o /proc/app.romfs", "cannot write /proc/app.romfs: ", status=1),
    "the image of another project": option("", "dist/app.romfs already exists and is the image of other, not of app",
        "Set `filename` or `directory`")._replace(setup=foreign_image),
    "an option of the other format": option("--volume x", '--volume: is only for format = "linux"'),
    "a wrong alignment": option("--align 3", "--align 3: must be a power of two from 1 to 1048576, not 3"),
    "an alignment in words": option("--align *.bin=many", "--align: 'many' is not a number of bytes", "--align 4"),
    "a missing image": option("--image x", ". has no image 'x', only one without a name", "Leave out --image."),
    "a mistyped option": option("--formt linux", "unrecognized arguments: --formt; did you mean '--format'?", "--help"),
    "an option that needs another": option("--symbol x", "--symbol needs --emit c"),
    "a missing folder": Mistake({}, "romfs-image build nowhere", 2, "nowhere is not a folder", "Name the folder"),
    "another folder for a page": on_page("-o full", "full already exists and is not a page of this command", "another"),
    "a file for a page": on_page("-o a.romfs", "a.romfs already exists and is not a folder", "Choose another folder."),
    "a page below a file": on_page("-o a.romfs/x", "a.romfs is not a folder, so nothing", "choose another output."),
    "a page here": on_page("-o .", ". contains the current folder, which cannot be replaced", "Choose another output."),
    "no permission for a page": on_page("-o /proc/x", "cannot write /proc/x: ", status=1),
    "a page nowhere": on_page("", "the following arguments are required: -o/--output", "--help"),
    "a link of another kind": on_page(
        "-o x --link A=javascript:alert(1)", "--link A: must be a link such as 'https://example.com'"
    ),
    "a link without a URL": on_page("-o x --link Support", "--link: 'Support' has no URL", "'Support=https://example"),
    "a link without a text": on_page("-o x --link =https://a", "--link: must be one line of at most 100 characters"),
    "a maker in Latin-1": on_page("-o x --maker \udcfc", "--maker: must be valid UTF-8"),
    "a text in Latin-1": on_page("-o x --text \udcfc", "--text: must be valid UTF-8"),
    "a maker without a name": on_page("-o x --maker=", "--maker: must be one line of at most 100 characters"),
    "a bundle that is not one": on_page("-o x --bundle full", "--bundle: full has no pyodide.mjs", "npm pack pyodide@"),
    "an image twice": on_page("a.romfs -o x", "a.romfs is the same image as a.romfs", "Name each image once."),
    "genromfs's alignment": Mistake({"d/a": "1"}, "genromfs -f out -d d -a 3", 2, "-a: '3' is not a power of two"),
}  # fmt: skip
IMAGES = {
    "not an image": on_image("info a.romfs", b"hello", 3, "a.romfs: not a MicroPython ROMFS image: it begins with"),
    "an empty file": on_image("info a.romfs", b"", 3, "a.romfs: the file is empty"),
    "a missing image file": on_image("info b.romfs", IMAGE, 2, "cannot read b.romfs: No such file or directory"),
    "a truncated image": on_image("verify a.romfs", IMAGE[:-4], 3, "a.romfs: the image is cut short"),
    "a changed image": on_image(
        "verify a.romfs", image_bytes(3000).replace(b"who = 1", b"who = 2"), 3, "a.romfs: the content does not match"
    ),
    "a file that is not in the image": on_image("cat a.romfs x", IMAGE, 2, "the image contains no 'x'", "tree' lists"),
    "a folder that is not empty": on_image(
        "extract a.romfs -o full", IMAGE, 2, "full already exists and is not an empty folder", "Choose another folder."
    ),
    "a name of a module": on_image("run a.romfs -m a-b", IMAGE, 2, "-m: 'a-b' is not the name of a module"),
    "not an inventory": on_image(
        "verify a.romfs --inventory full/file",
        IMAGE,
        2,
        "full/file is not an inventory",
        "`inventory = true` writes one",
    ),
    "an unknown key of the reference": Mistake(
        {}, "romfs-image settings mpy.arh", 2, "there is no key 'arh' in mpy; did you mean 'arch'?", "lists every key"
    ),
}
BOARDS = {
    "no port": on_board("--query --port=", 2, "--port '': the name of the port is missing", "--list-ports"),
    "a missing port": on_board("--query --port /dev/nowhere", 4, "cannot open /dev/nowhere: no such port", "--wait"),
    "no speed": on_board("--query --baudrate 0", 2, "argument --baudrate: must be a speed such as 115200, not '0'"),
    "a key of sim:": on_board("--query --port sim:?fam=rp2", 2, "sim: fam: unknown key", "did you mean 'port'?"),
    "two actions": on_board("a.romfs --erase", 2, "IMAGE and --erase: only one of these at a time", "--help"),
    "no action": on_board("", 2, "name an IMAGE to write, or one of --installed, --query", "--help"),
    "an option of another action": on_board("a.romfs --files", 2, "--files is for --query"),
    "a folder": on_board("plain", 2, "plain is not a project: it has no pyproject.toml", "use --folder"),
    "a partition that is not there": on_board(
        "a.romfs --port sim:?size=8K --partition 3", 2, "Simulated board with rp2 has only partition 0, not partition 3"
    ),
    "too large for the board": on_board(
        "a.romfs --port sim:?size=8K", 5, "the image is 9,000 bytes, 808 more than partition 0", "Leave files out",
        image_bytes(9000),
    ),
    "firmware without ROMFS": on_board(
        "a.romfs --port sim:?port=no-romfs", 5, "the firmware of Simulated board with no-romfs", "--to-filesystem"
    ),
    "a backup over a file": on_board("--read a.romfs --port sim:", 2, "a.romfs already exists", "Name a new file."),
    "nothing to back up": on_board("--read b --port sim:", 5, "partition 0 holds no image", "--whole reads it"),
    "a package that is not there": on_board("--installed no-such", 2, "no-such is not installed here", "pip install"),
}  # fmt: skip
FLEET = "[boards.a]\nport = 'COM1'\n"
FLEETS = {
    "a missing image for many boards": on_board("none --all", 2, "cannot read none: No such file or directory"),
    "no boards": on_board("a.romfs --all --filter id:no-such", 4, "no board was found", "are the filters right?"),
    "a missing fleet": on_board("--fleet none", 2, "none does not exist", "--fleet FILE"),
    "a folder as a fleet": on_board("--fleet plain", 2, "cannot read plain: ", "plain is a folder. Name a TOML file."),
    "an image as a fleet": on_board("--fleet a.romfs", 2, "a.romfs is an image", "Name the TOML file that describes"),
    "a fleet as an image": Mistake({"f.toml": FLEET}, "romfs-flash f.toml --all", 2, "f.toml is not an image"),
    "a project's file as an image": Mistake(
        {"pyproject.toml": "[tool.romfs]\n"}, "romfs-flash pyproject.toml", 2, "pyproject.toml is not an image",
        "Name the folder of a project",
    ),
    "a wrong key of a fleet": Mistake(
        {"f": FLEET.replace("port", "prot")}, "romfs-flash --fleet f", 2, 'boards."a".prot: unknown key', "Fix f."
    ),
    "a port twice": Mistake(
        {"f": FLEET + FLEET.replace("a]", "b]")}, "romfs-flash --fleet f", 2, 'boards."b".port: is also that', "Fix f."
    ),
    "no canary": on_board("a.romfs --all --canary 0", 2, "argument --canary: must be a number from 1 to 9999, not '0'"),
    "no jobs": on_board("a.romfs --all --jobs 0", 2, "argument --jobs: must be a number from 1 to 9999, not '0'"),
    "a report in a missing folder": on_board(
        "a.romfs --all --report no/r", 2, "--report no/r: the folder no does not exist", "Name a file in a folder"
    ),
    "a folder as a report": on_board("a.romfs --all --report plain", 2, "--report plain: is a folder", "Name a file"),
    "another file as a report": on_board("--summary plain/main.py", 2, "plain/main.py:1: not a line of a report",
        "Remove this line if --report has written the file, or else name another file.",
        )._replace(files={"plain/main.py": "x = 1\n"}),
    "a folder to summarize": on_board("--summary plain", 2, "cannot read plain: ", "Name a file that --report has"),
}  # fmt: skip
FOLDERS = {
    f"a folder for {words}": on_image(words, IMAGE, 2, "cannot read full: ", f"full is a folder. Name {expected}")
    for words, expected in {
        "info full": "an image file.",
        "tree full": "an image file.",
        "bundle full a.romfs -o out": "a file with firmware or an image",
        "bundle a.romfs full -o out": "an image file.",
        "verify a.romfs --inventory full": "an inventory, such as",
        "verify a.romfs --against full": "an image file.",
        "import-openmv full": "its romfs_config.json",
    }.items()
}
MISTAKES = SETTINGS | SOURCES | MANIFESTS | OUTPUTS | IMAGES | BOARDS | FLEETS | FOLDERS


def snapshot(root):
    """Return everything below a folder: the bytes of files, and where links lead."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            found[name] = path.read_bytes() if path.is_file() else path.stat().st_mode
    return found


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_message_and_leaves_nothing(what, tmp_path, monkeypatch, capsys):
    mistake = MISTAKES[what]
    root, temporary = tmp_path / "here", tmp_path / "temporary"
    temporary.mkdir()
    root.mkdir()
    make_project(root, mistake.files)
    mistake.setup(root)
    monkeypatch.chdir(root)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = snapshot(root)
    program, *words = mistake.command.split(" ")
    status = command._status(PROGRAMS[program], [word for word in words if word])
    out, err = capsys.readouterr()
    said = err.replace(f"{root}{os.sep}", "{}")
    assert said.startswith(f"error: {mistake.message}"), said
    assert mistake.hint in said
    assert "Traceback" not in said
    assert "Errno" not in said
    assert (status, out) == (mistake.status, "")
    assert snapshot(root) == before
    assert list(temporary.iterdir()) == []


def test_there_are_forty_mistakes_and_more():
    assert (
        len(MISTAKES) == sum(map(len, (SETTINGS, SOURCES, MANIFESTS, OUTPUTS, IMAGES, BOARDS, FLEETS, FOLDERS))) >= 40
    )
