"""What boards print on its way to a terminal, ``--monitor``, and ``--run``."""

import signal
import subprocess
import time

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs import build
from hatch_romfs.board.console import TerminalText
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.boards import on_board
from tests.projects import make_project

PYPROJECT = "[project]\nname = 'app'\nversion = '1.0'\n[tool.romfs]\n"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"plain \xc3\xa9\ttext\r\n", "plain \xe9\ttext\n"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b[2J\x1b[Hcleared\x1b[5A", "cleared"),
        (b"\x1b]0;title\x07", r"\x1b]0;title\x07"),
        (b"50 %\r60 %", "50 %\r60 %"),
        (b"\x07\x08\x7f\x00", r"\x07\x08\x7f\x00"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("\x9b31m\u202eabc\u2028".encode(), r"\x9b31m\u202eabc\u2028"),
    ],
)
def test_only_text_gets_through(sent, shown):
    text = TerminalText()
    assert text.feed(sent) + text.finish() == shown


def test_line_editing_gets_through_where_it_is_wanted():
    edited = b"ab\b\x1b[K\x1b[12D\x1b[1A\x1b[1C"
    assert TerminalText(editing=True).feed(edited) == "ab\b\x1b[K\x1b[12D"


def test_lines_cannot_be_overwritten_where_they_have_a_prefix():
    text = TerminalText(lines=True)
    assert text.feed(b"a\r\nb\rc\r") + text.finish() == "a\nb\nc\n"


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\x1b", b"[", b"3", b"1m", b"\r", b"\n", b"\xc3", b"\xa9"])))
def test_pieces_give_the_same_text_as_the_whole(pieces):
    """And nothing of a control character but those that are meant to get through."""
    text, whole = TerminalText(), TerminalText()
    shown = "".join(map(text.feed, pieces)) + text.finish()
    assert shown == whole.feed(b"".join(pieces)) + whole.finish()
    assert all(char.isprintable() or char in "\n\r\t" for char in shown)


@pytest.fixture
def board(tmp_path):
    (tmp_path / "root").mkdir()
    with SimulatedBoard(SimOptions(root=tmp_path / "root", size=64 << 10)) as board:
        yield board


@pytest.fixture
def image_of(tmp_path):
    """Return what builds an image with a module ``app``."""

    def make(code: str):
        root = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/app.py": code})
        return build(root, tmp_path / "app.romfs").path

    return make


def wait_for(path):
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path


# --run


def test_run_shows_the_output_of_a_module_and_leaves_the_board_at_its_prompt(image_of, board, tmp_path, romfs_flash):
    (tmp_path / "root" / "boot.py").write_text("booted = True\n")
    (tmp_path / "root" / "main.py").write_text("open('/main-ran', 'w').close()\n")
    board.reset()
    wait_for(tmp_path / "root" / "main-ran").unlink()
    code = "import __main__\nprint('booted', __main__.booted)\nprint('x' * 3000)\nopen('/ran', 'a').write('1')\n"
    ran = romfs_flash(image_of(code), "--run", "app", "--port", board.port)
    assert (ran.status, ran.out) == (0, f"booted True\n{'x' * 3000}\n")
    assert "bytes verified" in ran.err
    assert (tmp_path / "root" / "ran").read_text() == "1"
    assert not (tmp_path / "root" / "main-ran").exists()


def test_a_module_that_raises_shows_its_traceback(image_of, board, romfs_flash):
    code = "print('before')\ndef f():\n    raise ValueError('\\x1b[2Jno')\nf()\n"
    ran = romfs_flash(image_of(code), "-q", "--run", "app", "--port", board.port)
    assert (ran.status, ran.out) == (1, "before\n")
    first, *traceback = ran.err.splitlines()
    assert first == r"error: app raised ValueError: \x1b[2Jno"
    assert traceback[0] == "  Traceback (most recent call last):"
    assert any("app.py" in line and "in f" in line for line in traceback)
    assert traceback[-1] == r"  ValueError: \x1b[2Jno"


def test_a_module_that_does_not_exist_is_an_error(image_of, board, romfs_flash):
    ran = romfs_flash(image_of("x = 1\n"), "-q", "--run", "app.missing", "--port", board.port)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: app.missing raised ImportError: ")


def test_ctrl_c_interrupts_the_module_on_the_board(image_of, board, tmp_path):
    code = (
        "import time\ntry:\n    print('started')\n    while True: time.sleep(0.01)\n"
        "except KeyboardInterrupt:\n    open('/interrupted', 'w').close()\n    print('cleaned up')\n    raise\n"
    )
    command = [judges.command("romfs-flash"), image_of(code), "-q", "--run", "app", "--port", board.port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("cleaned up\n", "interrupted\n")
    assert process.returncode == 130
    assert (tmp_path / "root" / "interrupted").exists()
    assert on_board(board.port, "print(1)") == "1"


@pytest.mark.parametrize("name", ["app;x", "1app", "app.", "", "a" * 101, "app\nx"])
def test_only_names_of_modules_are_imported(name, image, romfs_flash):
    for option in ("--run", "--autostart"):
        ran = romfs_flash(image, f"{option}={name}", "--port", "sim:")
        assert ran.status == 2
        assert option in ran.err


@pytest.mark.parametrize(
    "arguments",
    [("--run=app", "--json"), ("--run=app", "--dry-run"), ("--run=app", "--no-reset"), ("--autostart=a", "--dry-run")],
)
def test_options_that_cannot_go_together(arguments, image, romfs_flash):
    ran = romfs_flash(image, *arguments, "--port", "sim:")
    assert ran.status == 2
    assert "cannot be used with" in ran.out + ran.err


# --monitor


def test_monitor_shows_output_and_writes_nothing(board, tmp_path):
    (tmp_path / "root" / "main.py").write_text(
        "while True:\n    print('tick \\x1b[31mred')\n    __import__('time').sleep(0.1)\n"
    )
    command = [judges.command("romfs-flash"), "--monitor", "--port", board.port]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        board.reset()
        while process.stdout.readline() != b"tick red\n":
            pass
        assert board.relay.up.sent == 0
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == 0


def test_ctrl_bracket_leaves_the_monitor_and_other_keys_do_nothing(board):
    arguments = ["--monitor", "--port", board.port]
    child = pexpect.spawn(judges.command("romfs-flash"), arguments, encoding="utf-8", dimensions=(24, 80), timeout=20)
    child.expect("Ctrl-] leaves")
    child.send("print(1)\r\x1d")
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, child.signalstatus) == (0, None)
    assert board.relay.up.sent == 0
