"""Names from boards, images, folders and settings never reach a terminal raw, and never look like a line of ours."""

import io
import os
import pty
import re
import subprocess
import sys
import unicodedata

import pytest
from serial.tools.list_ports_common import ListPortInfo

from hatch_romfs import RomfsError
from hatch_romfs.board.repl import RaisedError
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.cli import command, flash, image, manifest, show
from hatch_romfs.errors import Problem, SettingsError, one_line
from hatch_romfs.formats import open_image
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.plugins.errors import abort_on_failure
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from romfs_manifest import ManifestError
from romfs_manifest.errors import Place
from tests.trees import tree

HOSTILE = [
    "\x1b[2J",
    "\nerror: fake",
    "\r\x1b[A",
    "\x9b2J\x85x",
    "\u202egnp.exe",
    "\u2028error: fake",
    "\udc80\udcff",
    "\x00\x07\x7f",
    "\x0b\x0c\x1c",
]
"""Escape sequences, newlines, C1 controls, bidirectional overrides, lone surrogates, and more that ends a line."""


def check(text: str, lines: int) -> None:
    """Check that text has no control character but its own newlines, and as many lines as it should."""
    bad = [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not bad, ascii(text)
    assert len(text.splitlines()) == lines, text


@pytest.fixture(params=HOSTILE, ids=ascii)
def hostile(request):
    return request.param


def encodable(text: str) -> str:
    """Return text as an image or a board can give it: surrogates are no UTF-8."""
    return text.encode(errors="replace").decode()


def test_one_line_keeps_what_is_printable():
    assert one_line("größer → 'x' \\ 日本") == "größer → 'x' \\ 日本"
    assert one_line("a\x1b[2J\nb\udc80\ud800") == r"a\x1b[2J\nb\x80\ud800"


@pytest.mark.parametrize("arguments", [[], ["-v"], ["--verbose", "--json"]])
def test_a_failure(hostile, arguments, capsys):
    def fail(_arguments):
        error = OSError(5, hostile, hostile)
        raise RomfsError([f"cannot read {hostile}", f"  {hostile}"], hint=f"Remove {hostile}.") from error

    assert command._status(fail, arguments) == 1
    out, err = capsys.readouterr()
    shown = err[err.index("error: cannot read") if not arguments else err.rindex("\nerror: cannot read") + 1 :]
    check(shown, 3)
    lines = err.splitlines()
    check(err, len(lines))
    assert [line for line in lines if not line.startswith("  ")] == [lines[-3], lines[-1]]
    assert out.isascii()


def test_problems_in_settings(hostile):
    error = SettingsError([Problem(f"tool.romfs.{hostile}", hostile), Problem("tool", hostile)], hint=hostile)
    check(str(error), 3)


def test_a_failure_of_the_system(hostile, tmp_path, capsys):
    def fail(_arguments):
        raise KeyboardInterrupt(hostile)

    assert command._status(fail, []) == 130
    check(capsys.readouterr().err, 1)


def test_usage_errors(hostile, capsys):
    name = hostile.replace("\0", "")
    for run, arguments in (
        (flash.command, [f"--{name}"]),
        (flash.command, ["--query", "--partition", name]),
        (flash.command, ["--query", "--port", name or "x"]),
        (flash.command, ["--query", "--port", f"sim:?{name}=1"]),
        (flash.command, [f"x{name}"]),
        (image.command, [name]),
        (image.command, ["info", f"x{name}"]),
        (image.command, ["build", f"x{name}"]),
    ):
        assert command._status(run, arguments) in (2, 3, 4)
        err = capsys.readouterr().err
        check(err, len(err.split("\n")) - 1)
        assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.splitlines()[0]]


@pytest.fixture
def hostile_image(hostile, tmp_path):
    name = encodable(hostile).replace("\0", "")
    root = tree({f"a{name}": b"data", f"folder{name}/b{name}.py": b"x = 1\n"})
    path = tmp_path / "image.romfs"
    path.write_bytes(b"".join(image_chunks(lay_out(root, metadata=Metadata(f"app{name}", f"1{name}")))))
    return path


def test_what_an_image_contains(hostile_image, capsys):
    for arguments, lines in ((["tree"], 3), (["info"], 10), (["verify"], 1)):
        image.command([*arguments, str(hostile_image)])
        check(capsys.readouterr().out, lines)


def test_a_tree_on_a_terminal(hostile_image, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "300")
    with open_image(hostile_image) as opened:
        show.tree(opened)
    check(re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()), 5)


def test_what_a_board_says(tmp_path, monkeypatch, capsys):
    hostile = encodable("".join(HOSTILE)).replace("\0", "")
    path = tmp_path / "image.romfs"
    root = tree({f"a{hostile}": b"data"})
    path.write_bytes(b"".join(image_chunks(lay_out(root, metadata=Metadata(f"app{hostile}", "1")))))
    with SimulatedBoard(SimOptions(machine=f"Pico{hostile}", size=64 << 10)) as board:
        for arguments, lines in (
            ([path], 1),
            (["--query", "--files"], 5),
            (["--verify", path], 1),
            (["--query", "-vv"], 3),
            (["--erase"], 1),
        ):
            assert command._status(flash.command, [*map(str, arguments), "--port", board.port]) == 0
            out, err = capsys.readouterr()
            check(out, lines)
            check(err, len(err.split("\n")) - 1)
            assert bool(err) == ("-vv" in arguments)
        with pytest.raises(RaisedError) as caught, session(PortOptions(board.port)) as found:
            found.repl.run(f"raise ValueError({hostile!a})")
        assert "ValueError" in caught.value.traceback
        check(str(caught.value), len(str(caught.value).split("\n")))
        assert not [line for line in str(caught.value).splitlines()[1:] if line.startswith("error: ")]


def test_ports(hostile, monkeypatch, capsys):
    port = ListPortInfo("/dev/ttyX")
    port.description, port.serial_number, port.vid = f"Board{hostile}", f"A{hostile}", 1
    other = ListPortInfo("/dev/ttyY")
    other.description, other.serial_number, other.vid = f"Board{hostile}", f"A{hostile}b", 1
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [port, other])
    assert command._status(flash.command, ["--list-ports"]) == 0
    check(capsys.readouterr().out, 2)
    for arguments in ([], ["--port", "id:A"]):
        assert command._status(flash.command, ["--query", *arguments]) == 4
        check(capsys.readouterr().err, 4)


def test_warnings_and_lines(hostile, capsys):
    command.say(hostile)
    command.tell(hostile)
    command.warn(hostile)
    said = capsys.readouterr()
    check(said.out, 1)
    check(said.err, 2)


def test_plugins(hostile):
    said = []
    with pytest.raises(RomfsError), abort_on_failure(lambda message, code: said.append(message)):
        raise RomfsError(hostile, hint=hostile)
    check(said[0], 2)


def test_the_manifest_tool(hostile, tmp_path, monkeypatch, capsys):
    def fail(_options):
        place = Place(tmp_path / hostile, 1)
        raise ManifestError(hostile, hint=hostile, place=place, chain=(place,)) from ValueError(hostile)

    monkeypatch.setattr(manifest, "show", fail)
    assert command._status(manifest.command, ["show", "x"]) == 1
    check(capsys.readouterr().err, 3)
    assert command._status(manifest.command, ["show", "x", "-v"]) == 1
    err = capsys.readouterr().err
    check(err, len(err.split("\n")) - 1)
    assert [line for line in err.splitlines() if not line.startswith("  ")] == [
        err.splitlines()[-3],
        err.splitlines()[-1],
    ]


def test_the_commands_on_a_real_terminal(hostile_image):
    """In a process on a pseudo-terminal, where names with colors and trees are shown."""
    master, terminal = pty.openpty()
    code = "import sys; from hatch_romfs.cli.image import main; main()"
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "300", "NO_COLOR": "1"}
    arguments = [sys.executable, "-c", code, "tree", str(hostile_image)]
    subprocess.run(arguments, stdout=terminal, stderr=terminal, env=environment, check=True)
    os.close(terminal)
    shown = os.read(master, 100_000).decode().replace("\r\n", "\n")
    os.close(master)
    check(re.sub(r"\x1b\[[0-9;]*m", "", shown), 5)
