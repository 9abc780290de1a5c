"""``--watch`` in a real terminal and in a pipe, on simulated boards that are unplugged and plugged in again."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from hatch_romfs import build, flash, open_image
from hatch_romfs.cli import watch
from hatch_romfs.cli.changes import watched_folders
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.projects import make_project

PYPROJECT = "[project]\nname = 'app'\nversion = '1.0'\n[tool.romfs]\n"
WROTE = r"wrote (\d+) of (\d+) blocks?"
BANNER = "Type .*\n>>> "


class Plug:
    """A board behind a name that is there while the board is plugged in."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.name = folder / "tty"
        self.root = folder / "root"
        self.root.mkdir()
        (self.root / "main.py").write_text("import app\n")
        self.file = folder / "rom.bin"
        self._options = SimOptions(file=self.file, root=self.root, size=64 << 10, **options)
        self._board: SimulatedBoard | None = None

    def plug_in(self) -> None:
        self._board = SimulatedBoard(self._options)
        self._board.start()
        self.name.symlink_to(self._board.port)

    def unplug(self) -> None:
        if self._board is not None:
            self.name.unlink()
            self._board.close()
            self._board = None


@pytest.fixture
def plug(tmp_path):
    """A board that is plugged in, whose flash takes some time."""
    plug = Plug(tmp_path, erase=20, program=2)
    plug.plug_in()
    yield plug
    plug.unplug()


@pytest.fixture
def app(tmp_path):
    """Return what saves an edit of an app that prints its number."""
    root = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/data.bin": bytes(20_000)})

    def save(number: object, *, broken: bool = False, data: bytes = b"") -> Path:
        if data:
            (root / "src" / "data.bin").write_bytes(data)
        code = f"print('edit', {number}){'(' * broken}\n"
        (root / "src" / "app.py").write_text(code)
        return root

    save(0)
    return save


@pytest.fixture
def terminal(app, plug):
    """The command in a terminal of 80 columns."""
    arguments = [str(app(0)), "--watch", "--port", str(plug.name)]
    # A terminal that answers no questions and shows no colors, but has a cursor.
    child = pexpect.spawn(
        judges.command("romfs-flash"), arguments, encoding="utf-8", dimensions=(24, 80), timeout=30, echo=False
    )
    yield child
    child.close(force=True)


def image_of(root: Path) -> bytes:
    return build(root, root.parent / "expected.romfs", overrides=watch._overrides(root)).path.read_bytes()


def wait_for_change(file: Path, before: bytes) -> None:
    deadline = time.monotonic() + 20
    while file.read_bytes() == before:
        assert time.monotonic() < deadline, "the flash has not changed"
        time.sleep(0.005)


def test_ten_edits_end_with_the_last_good_image(app, plug, terminal):
    """Two are broken, one is saved during a write, and one while the board is unplugged."""

    def see(*texts: str) -> None:
        for text in texts:
            terminal.expect(text)

    see(WROTE, r"edit 0\r\n", BANNER)
    for number in (1, 2):
        app(number)
        see(r"built 2 files, [\d,]+ bytes, [\d.]+ s", WROTE, rf"edit {number}\r\n", BANNER)
    good = plug.file.read_bytes()
    app(3, broken=True)
    see(r"error: src/app.py:\d: SyntaxError", "the build failed; the board is unchanged")
    terminal.send("6 * 7\r")  # the board still answers
    see(r"42\r\n>>> ")
    assert plug.file.read_bytes() == good
    app(4, data=bytes(range(250)) * 80)
    wait_for_change(plug.file, good)
    app(5)
    see(WROTE, WROTE, r"edit 5\r\n", BANNER)
    app(6, broken=True)
    see("the build failed")
    for number in (7, 8):
        app(number)
        see(WROTE, rf"edit {number}\r\n", BANNER)
    plug.unplug()
    see("waiting for the board: .* is gone")
    app(9)
    see("built 2 files")
    plug.plug_in()
    see(WROTE, r"edit 9\r\n", BANNER)
    root = app(10)
    see(WROTE, r"edit 10\r\n", BANNER)
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus, terminal.signalstatus) == (0, None)
    assert plug.file.read_bytes().startswith(image_of(root))
    assert flash(root.parent / "expected.romfs", str(plug.name)).plan.writes == 0


def test_an_edit_writes_only_the_blocks_that_differ(app, plug, terminal):
    terminal.expect(WROTE)
    written, blocks = terminal.match.groups()
    assert written == blocks
    terminal.expect(BANNER)
    app(1)
    terminal.expect(WROTE)
    written, _ = terminal.match.groups()
    assert int(written) < int(blocks)


def test_what_has_only_moved_is_not_sent_again(app, plug, terminal):
    terminal.expect(BANNER)
    data = random.Random(1).randbytes(20_000)
    sent = []
    for number, content in enumerate((data, data[:50] + b"more" * 30 + data[50:]), 1):
        app(number, data=content)
        terminal.expect(rf"{WROTE}, ([\d,]+) bytes sent")
        sent.append(int(terminal.match[3].replace(",", "")))
        terminal.expect(BANNER)
    assert sent[0] > len(data)
    assert sent[1] < len(data) // 2


def test_keys_go_to_the_board_and_ctrl_bracket_leaves(terminal, plug):
    terminal.expect(BANNER)
    terminal.send("print(1 +\b\b+ 30)\r")
    terminal.expect(r"31\r\n>>> ")
    terminal.send("open('typed', 'w').close()\r\x1d")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus, terminal.signalstatus) == (0, None)
    assert "Traceback" not in terminal.before


def test_no_output_of_a_board_has_the_style_of_a_status_line(app, plug, terminal):
    terminal.expect(BANNER)
    app("'\\x1b[7mwrote 1 of 1 block\\x1b[0m', '\\x1b[2J\\x1b[A\\x1b]0;title\\x07'")
    terminal.expect(r"edit wrote 1 of 1 block \\x1b\]0;title\\x07\r\n")
    assert "\x1b[7mwrote 1 of 1" not in terminal.before


def test_a_build_that_gives_the_same_image_leaves_the_board_alone(app, terminal):
    terminal.expect(BANNER)
    app("0")
    terminal.expect("the image is unchanged")
    terminal.send("7 * 11\r")
    terminal.expect(r"77\r\n>>> ")
    assert "wrote" not in terminal.before


def test_a_board_unplugged_during_a_write_gets_the_image_when_it_is_back(app, plug, terminal):
    """Also shortly after a reset, when a port that disappears usually does so because of that."""
    terminal.expect(BANNER)
    before = plug.file.read_bytes()
    root = app(1, data=bytes(range(250)) * 80)
    wait_for_change(plug.file, before)
    plug.unplug()
    terminal.expect("waiting for the board")
    plug.plug_in()
    terminal.expect(WROTE)
    terminal.expect(r"edit 1\r\n")
    assert plug.file.read_bytes().startswith(image_of(root))


@pytest.fixture
def vanishing(app, tmp_path):
    """Return what starts the command with a board whose port disappears at each reset."""
    folder = tmp_path / "other"
    folder.mkdir()
    plug = Plug(folder, vanish=300)
    plug.plug_in()
    started = []

    def start(*more):
        arguments = [str(app(0)), "--watch", "--port", str(plug.name), *more]
        command = judges.command("romfs-flash")
        started.append(pexpect.spawn(command, arguments, encoding="utf-8", dimensions=(24, 80), timeout=30))
        return started[0]

    yield start
    for child in started:
        child.close(force=True)
    plug.unplug()


def ask_until_answered(child):
    """Return what was shown until the board answered: what is typed while the port is away is lost."""
    shown = ""
    for _ in range(20):
        child.send("5 * 11\r")
        answered = child.expect([r"55\r\n>>> ", pexpect.TIMEOUT], timeout=1) == 0
        shown += child.before
        if answered:
            return shown
    raise AssertionError(shown)


def test_a_board_that_disappears_at_each_reset_is_written_once_per_edit(app, vanishing):
    child = vanishing()
    for number in (0, 1):
        app(number)
        child.expect(WROTE)
        assert "wrote" not in ask_until_answered(child)


def test_an_error_of_a_board_that_disappears_at_each_reset_is_shown_once(vanishing):
    child = vanishing("--autostart", "app")
    child.expect("a main.py that --autostart did not write")
    assert "autostart did not" not in ask_until_answered(child)


# Without a terminal


def start_in_a_pipe(*arguments: object) -> "subprocess.Popen[str]":
    command = [judges.command("romfs-flash"), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )


def read_up_to(process: "subprocess.Popen[str]", pattern: str) -> list[str]:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    raise AssertionError(lines)


def test_in_a_pipe_each_line_of_the_board_has_a_prefix(app, plug):
    with start_in_a_pipe(app("'\\rwrote 9 of 9 blocks'"), "--watch", "--port", plug.name) as process:
        lines = read_up_to(process, "Type")
        process.send_signal(signal.SIGINT)
        lines += process.stdout.readlines()
    assert process.returncode == 0
    assert re.fullmatch(r"built 2 files, [\d,]+ bytes, [\d.]+ s\n", lines[0])
    assert re.fullmatch(r"wrote \d of \d blocks, [\d,]+ bytes sent, [\d.]+ s\n", lines[1])
    assert lines[2:4] == ["| edit \n", "| wrote 9 of 9 blocks\n"]
    assert [line for line in lines[2:] if not line.startswith("| ")] == []


def test_only_files_that_differ_are_written_to_a_filesystem(app, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    plug = Plug(folder, port="no-romfs")
    plug.plug_in()
    try:
        with start_in_a_pipe(app(0), "--watch", "--to-filesystem", "--port", plug.name) as process:
            assert any("wrote 2 of 2 files, " in line for line in read_up_to(process, "edit 0"))
            app(1)
            assert any("wrote 1 of 2 files, " in line for line in read_up_to(process, "edit 1"))
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    finally:
        plug.unplug()
    assert {path.name for path in plug.root.iterdir()} == {"main.py", "app.mpy", "data.bin", "romfs-1.txt"}


def test_an_interrupt_during_a_write_lets_it_complete(app, plug):
    root = app(1, data=bytes(range(250)) * 80)
    before = plug.file.read_bytes()
    with start_in_a_pipe(root, "--watch", "--port", plug.name) as process:
        wait_for_change(plug.file, before)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert plug.file.read_bytes().startswith(image_of(root))


def test_the_board_may_come_later(app, plug):
    plug.unplug()
    with start_in_a_pipe(app(1), "--watch", "--port", plug.name) as process:
        waiting = read_up_to(process, "waiting for the board")
        plug.plug_in()
        lines = read_up_to(process, "edit 1")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert waiting[-1] == f"waiting for the board: cannot open {plug.name}: no such port\n"
    assert lines[-1] == "| edit 1\n"
    with open_image(plug.file) as image:
        assert image.name == "app"


def test_a_linux_image_is_not_written(app, plug):
    root = app(0)
    (root / "pyproject.toml").write_text(f"{PYPROJECT}format = 'linux'\n")
    before = plug.file.read_bytes()
    with start_in_a_pipe(root, "--watch", "--port", plug.name) as process:
        lines = read_up_to(process, "Boards do not mount Linux romfs.")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert lines[-2] == "error: the image is not a MicroPython image\n"
    assert plug.file.read_bytes() == before


@pytest.mark.parametrize("option", ["--json", "--dry-run", "--no-reset", "--monitor", "--run=app"])
def test_options_that_mean_nothing_beside_watch(option, app, romfs_flash):
    ran = romfs_flash(app(0), "--watch", option, "--port", "sim:")
    assert ran.status == 2
    assert option.split("=")[0] in ran.out + ran.err


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", {"layout": "stable"}),
        ("layout = 'compact'", {}),
        ("[tool.romfs.images.a]\nlayout = 'compact'", {}),
        ("[tool.romfs.images.a]", {"layout": "stable"}),
        ("format = 'linux'", {}),  # which has no layout, and gets an error of its own
    ],
)
def test_the_layout_is_stable_unless_the_table_names_one(table, expected, tmp_path, monkeypatch):
    root = make_project(tmp_path / "app", {"pyproject.toml": f"{PYPROJECT}{table}\n"})
    assert watch._overrides(root) == expected


def test_sources_outside_the_project_are_watched_too(tmp_path):
    root = make_project(
        tmp_path / "app", {"pyproject.toml": f"{PYPROJECT}sources = ['src', '../shared']\n", "src/app.py": ""}
    )
    (tmp_path / "shared").mkdir()
    assert watched_folders(root) == [root, tmp_path / "shared"]


def test_watch_needs_a_folder_and_its_package(app, image, romfs_flash, monkeypatch):
    assert romfs_flash(image, "--watch", "--port", "sim:") == (
        2,
        "",
        f"error: --watch builds a project or a folder, and {image} is not a folder\n",
    )
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert romfs_flash(app(0), "--watch", "--port", "sim:") == (
        2,
        "",
        'error: --watch needs the package watchfiles\nInstall it: pip install "hatch-romfs[watch]"\n',
    )
