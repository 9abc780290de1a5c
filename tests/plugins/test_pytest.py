"""The fixture ``romfs_board``, in a pytest of its own, as users run it."""

import subprocess
import sys

import pytest

from tests.board.boards import held, options
from tests.board.faulty import FaultyBoard
from tests.projects import make_project

TESTS = """
import pytest
from hatch_romfs import LinkError, RomfsError

def test_the_app_runs_from_the_image(romfs_board):
    assert romfs_board.run("import app; print(app.greet())") == "hello world\\n"
    assert romfs_board.run("print(app.__file__)") == "/rom/app/__init__.mpy\\n"
    assert romfs_board.run("import util; print(util.__file__)") == "/rom/lib/util.mpy\\n"
    assert romfs_board.image.stat().st_size > 0
    romfs_board.run("left = 1")

def test_each_test_has_a_fresh_board(romfs_board):
    with pytest.raises(RomfsError, match="NameError"):
        romfs_board.run("print(left)")
    assert "rp2" in romfs_board.board.machine or "stm32" in romfs_board.board.machine

def test_code_without_end_is_interrupted(romfs_board):
    with pytest.raises(LinkError):
        romfs_board.run("import time\\nwhile True: time.sleep(0.01)", timeout=0.5)
    assert romfs_board.run("print(1)") == "1\\n"

def test_a_board_is_fresh_after_a_failure_too(romfs_board):
    assert romfs_board.run("import app; print(app.greet())") == "hello world\\n"
"""


def run_pytest(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def app(tmp_path):
    folder = make_project(tmp_path / "project")
    (folder / "tests").mkdir()
    (folder / "tests/test_app.py").write_text(TESTS, encoding="utf-8")
    return folder


def test_an_app_is_tested_on_a_simulated_board(app):
    status, text = run_pytest(app)
    assert status == 0, text
    assert "4 passed" in text


def test_an_app_is_tested_on_the_board_at_a_port(app):
    with FaultyBoard(options("stm32")) as board:
        status, text = run_pytest(app, "--romfs-port", board.port)
        assert status == 0, text
        assert held(board).startswith(b"\xd2\xcd\x31")
        status, text = run_pytest(app, f"--romfs-port={board.port}", "-k", "image")
        assert status == 0, text


def test_a_failure_is_one_message_without_a_traceback_of_ours(app):
    status, text = run_pytest(app, "--romfs-port", "/dev/nowhere", "-k", "image")
    assert status == 1
    assert "romfs_board: cannot open /dev/nowhere: no such port" in text
    assert "hatch_romfs/board" not in text
    (app / "pyproject.toml").write_text('[tool.pytest.ini_options]\nromfs_source = "src"\n', encoding="utf-8")
    status, text = run_pytest(app, "-k", "image")
    assert status == 1


def test_the_plugin_costs_other_test_suites_nothing(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n"
        "    loaded = {name for name in sys.modules if name.startswith('hatch_romfs')}\n"
        "    assert loaded == {'hatch_romfs', 'hatch_romfs.plugins', 'hatch_romfs.plugins.pytest'}\n",
        encoding="utf-8",
    )
    status, text = run_pytest(tmp_path)
    assert status == 0, text
