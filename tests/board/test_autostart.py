"""``--autostart``: the ``main.py`` that it writes, and those that it leaves alone."""

import time

import pytest

from hatch_romfs import build, query
from hatch_romfs.board.autostart import MARKER, TEMPORARY, MainFile, content
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.projects import make_project

PYPROJECT = "[project]\nname = 'app'\nversion = '1.0'\n[tool.romfs]\n"
CANNOT_WRITE = (
    "error: --autostart: the board's filesystem cannot take main.py: {}\n"
    "It may be read-only, full, or missing. The image itself is written.\n"
)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def board(root):
    with SimulatedBoard(SimOptions(root=root, size=64 << 10)) as board:
        yield board


@pytest.fixture
def app(tmp_path):
    code = "f = open('/started', 'a')\nf.write('x')\nf.close()\n"
    project = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/app.py": code, "src/other.py": code})
    return build(project, tmp_path / "app.romfs").path


def test_the_board_imports_the_module_after_each_reset(app, board, root, romfs_flash):
    assert romfs_flash(app, "--autostart", "app", "--port", board.port).status == 0
    assert (root / "main.py").read_bytes() == content("app")
    assert {path.name for path in root.iterdir()} <= {"main.py", "started"}
    board.reset()
    deadline = time.monotonic() + 10
    while not (root / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert query(board.port).main == MainFile("app")


def test_its_own_file_is_replaced_and_query_shows_it(app, board, root, romfs_flash):
    assert "main.py" not in romfs_flash("--query", "--port", board.port).out
    assert romfs_flash("--query", "--json", "--port", board.port).document["main"] is None
    for module in ("app", "other"):
        assert romfs_flash(app, "--autostart", module, "--port", board.port).status == 0
        assert (root / "main.py").read_bytes() == content(module)
        assert f"main.py imports {module} (--autostart)\n" in romfs_flash("--query", "--port", board.port).out
        assert romfs_flash("--query", "--json", "--port", board.port).document["main"] == {"module": module}


@pytest.mark.parametrize(
    "own",
    [
        b"import app\n",
        b"",
        b"\xff\x00" * 500,
        f"{MARKER}\nimport app\nextra()\n".encode(),
        b"# mine\n" + content("app"),
    ],
    ids=["plain", "empty", "binary", "extended", "marker further down"],
)
def test_a_file_of_the_user_is_never_replaced(own, app, board, root, romfs_flash):
    (root / "main.py").write_bytes(own)
    message = (
        "error: --autostart: the board has a main.py that --autostart did not write; it is unchanged\n"
        "Add 'import app' to it, or rename it on the board and run the same command again.\n"
    )
    ran = romfs_flash(app, "--autostart", "app", "--port", board.port)
    assert ran == (5, "", message)
    assert (root / "main.py").read_bytes() == own
    assert "main.py is the user's own\n" in romfs_flash("--query", "--port", board.port).out
    assert romfs_flash("--query", "--json", "--port", board.port).document["main"] == {"module": None}
    assert romfs_flash("--verify", app, "--port", board.port).status == 0


def test_a_full_filesystem_is_one_clear_error(app, board, root, romfs_flash):
    (root / TEMPORARY).symlink_to("/dev/full")
    ran = romfs_flash(app, "--autostart", "app", "--port", board.port)
    assert ran == (5, "", CANNOT_WRITE.format("ENOSPC (28)"))
    assert list(root.iterdir()) == []


def test_a_filesystem_that_takes_no_file_is_one_clear_error(app, board, root, romfs_flash):
    (root / TEMPORARY).mkdir()
    ran = romfs_flash(app, "--autostart", "app", "--port", board.port)
    assert ran == (5, "", CANNOT_WRITE.format("EISDIR (21)"))
    assert not (root / "main.py").exists()
