"""``--to-filesystem`` on the simulated board's own filesystem: what is written, kept, removed, refused, and said."""

import hashlib
import re

import pytest

from hatch_romfs import BoardError, LinkError, VerifyError, build, list_filesystem, write_filesystem
from hatch_romfs.board.filesystem.owned import LISTS, MARKER, TEMPORARY, format_list
from hatch_romfs.errors import FlashInterrupted
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import coded, firmware, mpy, on_board, put
from tests.board.faulty import Faults, FaultyBoard
from tests.projects import make_project

PYPROJECT = "[project]\nname = 'app'\nversion = '1.0'\n[tool.romfs]\nlib = ['vendor']\nmpy.exclude = ['main.py']\n"
NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(1500))
TREE = {"app.py": b"print('app')\n" * 50, "lib/util.py": b"x = 1\n", "data/noise.bin": NOISE, "empty.txt": b""}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def options(root, **more):
    return SimOptions(port="no-romfs", root=root, **more)


@pytest.fixture
def board(root):
    with SimulatedBoard(options(root)) as board:
        yield board


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "app.romfs", coded(TREE))


@pytest.fixture
def app(tmp_path):
    files = {
        "pyproject.toml": PYPROJECT,
        "src/app.py": "import util\nprint('hello from', util.where)\n",
        "src/main.py": "started = True\n",
        "vendor/util.py": "where = __file__\n",
    }
    return make_project(tmp_path / "project", files)


def files_in(root):
    """Return the files below a folder, without the list of them."""
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in LISTS}


def the_list(root):
    (path,) = (root / name for name in LISTS if (root / name).exists())
    return path


# What people see


def test_a_project_is_compiled_and_written_with_its_libraries_and_runs(app, board, root, romfs_flash):
    ran = romfs_flash(app, "--to-filesystem", "--port", board.port)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("/ of Simulated board with no-romfs: 3 files, ")
    assert ran.out.endswith(" bytes verified, 3 of them written\n")
    assert files_in(root).keys() == {"app.mpy", "main.py", "lib/util.mpy"}
    assert on_board(board.port, "import app") == "hello from /lib/util.mpy"


def test_only_an_edit_is_written_and_what_is_gone_is_removed(app, board, root, romfs_flash):
    romfs_flash(app, "--to-filesystem", "--port", board.port)
    (app / "src" / "app.py").write_text("import main\n")
    (app / "vendor" / "util.py").unlink()
    document = romfs_flash(app, "--to-filesystem", "--json", "--port", board.port).document
    steps = [(step["action"], step["path"]) for step in document.pop("steps")]
    assert steps == [
        ("remove", "lib/util.mpy"),
        ("remove folder", "lib"),
        ("write", "app.mpy"),
        ("write list", "romfs-2.txt"),
        ("remove", "romfs-1.txt"),
    ]
    assert files_in(root).keys() == {"app.mpy", "main.py"}
    assert not (root / "lib").exists()
    for name in ("sent", "received"):
        assert document.pop(name) > 0
    size = (root / "app.mpy").stat().st_size
    assert document == {
        "board": "Simulated board with no-romfs",
        "folder": "/",
        "files": 2,
        "size": size + (root / "main.py").stat().st_size,
        "dry_run": False,
        "written": size,
        "files_kept": 1,
        "removed": ["lib/util.mpy"],
        "rewritten": 0,
        "resent": 0,
        "verified": True,
        "warnings": [],
    }


def test_files_of_an_earlier_run_that_are_removed_are_named(image, tmp_path, board, romfs_flash):
    many = put(tmp_path / "many", coded({f"{number:02}.txt": b"x" for number in range(12)}))
    at = ("--to-filesystem", "--port", board.port)
    romfs_flash(many, *at)
    removed = "12 files of an earlier run that the new image does not have:"
    for dry_run, verb in ((["--dry-run"], "would remove"), ([], "removed")):
        lines = romfs_flash(image, *dry_run, *at).err.splitlines()
        assert lines[:2] == [f"{verb} {removed}", "  00.txt"]
        assert lines[10:] == ["  09.txt", "  (and 2 more; -v lists all)"]


def test_a_dry_run_shows_the_steps_and_changes_nothing(image, board, root, romfs_flash):
    ran = romfs_flash(image, "--to-filesystem", "new/app", "--dry-run", "--port", board.port)
    assert ran.out.splitlines() == [
        "write list romfs-1.txt, 186 bytes",
        "make data",
        "make lib",
        "write app.py, 650 bytes",
        "write data/noise.bin, 48,000 bytes",
        "write empty.txt, 0 bytes",
        "write lib/util.py, 6 bytes",
        "/new/app/ of Simulated board with no-romfs: 4 of 4 files, 48,656 bytes, would be written",
    ]
    assert list(root.iterdir()) == []


def test_query_lists_what_was_written_verify_compares_it_and_erase_removes_it(image, board, root, romfs_flash):
    (root / "own.txt").write_text("mine")
    at = ("--to-filesystem", "--port", board.port)
    assert "/: 0 files written by --to-filesystem; " in romfs_flash("--query", *at).out
    romfs_flash(image, *at)
    assert romfs_flash("--verify", image, *at).out == (
        f"/ of Simulated board with no-romfs has the files of {image}, byte for byte\n"
    )
    (root / "lib" / "util.py").unlink()
    (root / "app.py").write_bytes(TREE["app.py"][:-1] + b"!")
    ran = romfs_flash("--verify", image, *at)
    assert (ran.status, ran.err.splitlines()[0]) == (
        6,
        f"error: 2 of 4 files in / differ from {image} or are missing: app.py, lib/util.py",
    )
    listed = romfs_flash("--query", *at).out.splitlines()
    assert listed[2:] == [
        "      size  path",
        "       650  app.py",
        "     48000  data/noise.bin",
        "         0  empty.txt",
        "   missing  lib/util.py",
    ]
    files = romfs_flash("--query", "--json", *at).document["files"]
    assert files[-1] == {"path": "lib/util.py", "size": None}
    assert romfs_flash("--erase", *at).out == "/ of Simulated board with no-romfs: 3 files removed\n"
    assert [path.name for path in root.iterdir()] == ["own.txt"]
    board_and_folder = {"board": "Simulated board with no-romfs", "folder": "/"}
    assert romfs_flash("--erase", "--json", *at).document == board_and_folder | {"removed": []}


def test_the_image_of_an_installed_package(image, board, root, romfs_flash, monkeypatch):
    monkeypatch.setattr("hatch_romfs.images.installed.installed_image", lambda name, _image: {"app": image}[name])
    at = ("--to-filesystem", "--port", board.port)
    assert romfs_flash("--installed", "app", *at).status == 0
    assert files_in(root) == TREE
    document = romfs_flash("--verify", image, "--json", *at).document
    assert document == {"board": "Simulated board with no-romfs", "folder": "/", "verified": True, "warnings": []}


def test_a_terminal_shows_what_was_written_as_a_tree(image, board, root, romfs_flash, monkeypatch):
    romfs_flash(image, "--to-filesystem", "--port", board.port)
    (root / "lib" / "util.py").unlink()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", romfs_flash("--query", "--to-filesystem", "--port", board.port).out)
    assert shown.splitlines()[2:] == [
        "/",
        "                      size",
        "├── app.py             650",
        "├── data/",
        "│   └── noise.bin   48,000",
        "├── empty.txt            0",
        "└── lib/",
        "    └── util.py    missing",
    ]


def test_the_hint_of_a_board_without_romfs_is_enough_to_write_the_project(app, board, romfs_flash):
    ran = romfs_flash(app, "--port", board.port)
    assert ran.status == 5
    command = ran.err.splitlines()[-1].partition(" needs no ROMFS.")[0]
    arguments = [app if word == "PROJECT" else word for word in command.split()[1:]]
    assert romfs_flash(*arguments, "--port", board.port).status == 0


def test_run_and_autostart_work_as_with_a_partition(app, board, root, romfs_flash):
    ran = romfs_flash(app, "--to-filesystem", "sub", "--run", "app", "--port", board.port)
    assert ran.status == 1  # sub is not on sys.path
    ran = romfs_flash(app, "--to-filesystem", "--run", "app", "--port", board.port)
    assert (ran.status, ran.out) == (0, "hello from /lib/util.mpy\n")
    ran = romfs_flash(app, "--to-filesystem", "--autostart", "app", "--port", board.port)
    assert (ran.status, ran.err.splitlines()[0]) == (
        5,
        "error: --autostart: the board has a main.py that --autostart did not write; it is unchanged",
    )
    (app / "src" / "main.py").unlink()
    assert romfs_flash(app, "--to-filesystem", "--autostart", "app", "--port", board.port).status == 0
    assert (root / "main.py").read_text().endswith("import app\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to-filesystem", "IMAGE"], "name an IMAGE to write, or one of --installed, --query, "),
        (["IMAGE", "--to-filesystem", "../x"], "--to-filesystem: '..' is not a name"),
        (["IMAGE", "--to-filesystem", "."], "--to-filesystem: '.' is not a name"),
        (["IMAGE", "--to-filesystem", "a\nb"], r"--to-filesystem: the name 'a\nb' contains a control character"),
        (["IMAGE", "--to-filesystem", "--partition", "0"], "--partition cannot be used with --to-filesystem"),
        (["IMAGE", "--to-filesystem", "--autostart", "main"], "--autostart main: main.py would import itself"),
        (["IMAGE", "--autostart", "main"], "--autostart main: main.py would import itself"),
        (["--query", "--files", "--to-filesystem"], "--files cannot be used with --to-filesystem"),
        (["--read", "out", "--to-filesystem"], "--to-filesystem is for --query and --verify and --erase"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments, message, image, romfs_flash):
    ran = romfs_flash(*(str(image) if one == "IMAGE" else one for one in arguments), "--port", "/dev/no-such-port")
    assert ran.status == 2
    assert ran.err.startswith(f"error: {message}")


# Files of others


def test_files_of_others_are_never_touched(tmp_path, board, root, romfs_flash):
    own = {"own.py": b"1", "lib/own.py": b"2", "data/deep/own.bin": b"3", "same.txt": b"same"}
    for name, data in own.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    first = put(tmp_path / "1", coded({"lib/util.py": b"x", "same.txt": b"same", "new/x.py": b"x"}))
    second = put(tmp_path / "2", coded({"app.py": b"y"}))
    for image in (first, second):
        assert romfs_flash(image, "--to-filesystem", "--port", board.port).status == 0
    assert files_in(root) == {**own, "app.py": b"y"}
    assert not (root / "new").exists()
    assert romfs_flash("--erase", "--to-filesystem", "--port", board.port).status == 0
    assert files_in(root) == own
    assert not any((root / name).exists() for name in LISTS)


IN_THE_WAY = "Rename or remove it on the board, and run the same command again. Nothing on the board was changed."


def test_a_file_of_others_in_the_way_is_an_error_and_nothing_changes(image, board, root, romfs_flash):
    (root / "app.py").write_bytes(TREE["app.py"][::-1])
    ran = romfs_flash(image, "--to-filesystem", "--port", board.port)
    assert ran == (
        5,
        "",
        f"error: /app.py is on the board already, and romfs-flash did not write it\n{IN_THE_WAY}\n",
    )
    assert [path.name for path in root.iterdir()] == ["app.py"]


def test_a_file_that_became_a_link_is_replaced_and_not_what_it_leads_to(image, tmp_path, board, root):
    write_filesystem(image, board.port)
    outside = put(tmp_path / "outside", b"precious")
    (root / "app.py").unlink()
    (root / "app.py").symlink_to(outside)
    write_filesystem(image, board.port)
    assert outside.read_bytes() == b"precious"
    assert not (root / "app.py").is_symlink()
    assert files_in(root) == TREE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"my notes\n", "romfs-1.txt on the board was not written by romfs-flash"),
        (b"\xff\xfe\x00" * 999, "romfs-1.txt on the board was not written by romfs-flash"),
        (b"a" * 300_000, "romfs-1.txt on the board was not written by romfs-flash"),
        (format_list(["../../etc/passwd"], 1), "romfs-1.txt on the board: '..' is not a name"),
        (format_list(["/own.txt"], 1), "romfs-1.txt on the board: '/own.txt' is absolute"),
    ],
)
def test_a_list_of_others_is_not_believed(content, message, image, board, root):
    (root / LISTS[0]).write_bytes(content)
    (root / "own.txt").write_bytes(b"mine")
    with pytest.raises(BoardError) as caught:
        write_filesystem(image, board.port)
    assert caught.value.message.startswith(message)
    assert files_in(root) == {"own.txt": b"mine"}


@pytest.mark.parametrize("content", [b"", MARKER[:20].encode(), format_list(["own.txt"], 3)[:-5]])
def test_a_list_that_a_cut_left_unfinished_counts_for_nothing(content, image, board, root):
    (root / "own.txt").write_bytes(b"mine")
    for name in LISTS:
        (root / name).write_bytes(content)
    (root / TEMPORARY).write_bytes(b"half")
    write_filesystem(image, board.port)
    assert files_in(root) == {**TREE, "own.txt": b"mine"}
    the_list(root)
    assert not write_filesystem(image, board.port).plan.steps


def test_of_two_lists_the_newer_one_counts(image, board, root):
    write_filesystem(image, board.port)
    (root / LISTS[1]).write_bytes(format_list(["own.txt"], 0))
    (root / "own.txt").write_bytes(b"mine")
    write_filesystem(image, board.port)
    assert the_list(root).name == LISTS[0]
    assert files_in(root) == {**TREE, "own.txt": b"mine"}


# Names, folders, and what keeps a board from using the files


def test_odd_names_and_long_paths(tmp_path, board, root):
    tree = {
        "grüße/naïve ☃.txt": b"1",
        'it\'s "quoted".py': b"2",
        "# comment": b"3",
        " space ": b"4",
        "%s {x} $HOME.txt": b"5",
        "/".join(["d" * 40] * 20) + "/x.py": b"6",
        "n" * 200: b"7",
    }
    image = put(tmp_path / "odd", coded(tree))
    write_filesystem(image, board.port)
    assert files_in(root) == tree
    assert not write_filesystem(image, board.port).plan.steps


@pytest.mark.parametrize("name", ["a\nb.py", "a\x7fb", LISTS[0], TEMPORARY, LISTS[0].upper()])
def test_a_name_that_a_list_cannot_have_is_refused_before_anything_is_written(name, tmp_path, board, root):
    with pytest.raises(BoardError, match="the image cannot be written to a filesystem: the name"):
        write_filesystem(put(tmp_path / "odd", coded({name: b"x"})), board.port)
    assert list(root.iterdir()) == []


def test_what_is_no_image_of_micropython_or_has_too_many_paths_is_refused(tmp_path, board, root):
    linux = build(make_project(tmp_path / "linux", {"a.txt": b"a"}), tmp_path / "a", overrides={"format": "linux"}).path
    many = put(tmp_path / "many", coded({f"{'d' * 200}/{number:04}": b"" for number in range(1400)}))
    for image, message in ((linux, "is not a MicroPython image"), (many, "have more than 256 KiB")):
        with pytest.raises(BoardError, match=message):
            write_filesystem(image, board.port)
    assert list(root.iterdir()) == []


def test_a_folder_with_the_name_of_the_list_is_refused(image, board, root):
    (root / LISTS[1]).mkdir()
    with pytest.raises(BoardError, match="/romfs-2.txt on the board is a folder"):
        write_filesystem(image, board.port)
    assert [path.name for path in root.iterdir()] == [LISTS[1]]


@pytest.mark.parametrize("folder", ["a/b", "/a/b", "a/b/"])
def test_a_folder_is_made_with_those_that_it_is_in(folder, image, board, root):
    for _ in range(2):
        done = write_filesystem(image, board.port, folder=folder)
        assert done.folder == "/a/b/"
        assert files_in(root / "a" / "b") == TREE
    assert not done.plan.steps
    assert list_filesystem(board.port, folder=folder).files == {name: len(data) for name, data in TREE.items()}
    assert list_filesystem(board.port).files == {}


def test_a_folder_that_is_a_file_is_refused(image, board, root):
    (root / "a").write_bytes(b"x")
    with pytest.raises(BoardError, match="/a on the board is not a folder"):
        write_filesystem(image, board.port, folder="a")
    with pytest.raises(BoardError, match=r"the board cannot make the folder /a/b/: ENOTDIR \(20\)"):
        write_filesystem(image, board.port, folder="a/b")


def test_what_micropython_would_not_use_is_a_warning(tmp_path, board, root, romfs_flash):
    (root / "app.py").write_bytes(b"old")
    image = put(tmp_path / "image", coded({"app.mpy": mpy(), "main.mpy": mpy()}))
    ran = romfs_flash(image, "--to-filesystem", "--force", "--port", board.port)
    assert ran.status == 0
    hides, starts = ran.err.splitlines()
    assert hides == (
        "warning: /app.py on the board hides app.mpy: MicroPython imports the .py file. Remove it on the board."
    )
    assert starts == (
        "warning: MicroPython does not start main.mpy, only main.py: exclude it from compiling with"
        ' tool.romfs.mpy.exclude = ["main.py"]'
    )


def test_code_for_another_board_is_refused(tmp_path, root):
    image = put(tmp_path / "image", coded({"app.mpy": mpy(arch=3)}))
    with FaultyBoard(options(root), firmware(7)) as board:
        with pytest.raises(BoardError, match="app.mpy is "):
            write_filesystem(image, board.port)
        assert list(root.iterdir()) == []
        write_filesystem(image, board.port, force=True)


def test_modules_with_the_names_of_the_firmwares_do_no_harm(tmp_path, board, root):
    """Any of them would be imported instead of the module that is needed to write files."""
    tree = {f"{name}.py": b"raise ImportError\n" for name in ("io", "os", "sys", "binascii", "deflate", "hashlib")}
    image = put(tmp_path / "image", coded(tree))
    write_filesystem(image, board.port, reset=False)
    changed = put(tmp_path / "changed", coded({**tree, "app.py": b"x"}))
    write_filesystem(changed, board.port, full=True, reset=False)
    assert files_in(root) == {**tree, "app.py": b"x"}


# Lines and firmware


ONCE = {
    "no sha256": Faults(hide=("hashlib.sha256",)),
    "no hashes at all": Faults(hide=("hashlib.sha256", "binascii.crc32")),
    "no deflate": Faults(hide=("deflate",)),
    "no binary input": Faults(hide=("sys.stdin.buffer",)),
    "nothing but literals": Faults(hide=("sys.stdin.buffer", "binascii.a2b_base64", "deflate", "binascii.crc32")),
    "no raw-paste": Faults(raw_paste=b"R\x00"),
    "a program that prints without end": Faults(main="while True: print('x' * 50)"),
    "text with CR LF": Faults(crlf=True),
}


@pytest.mark.parametrize("fault", ONCE)
def test_what_firmware_lacks_is_got_over(fault, image, root):
    with FaultyBoard(options(root), ONCE[fault]) as board:
        done = write_filesystem(image, board.port)
        assert done.rewritten == 0
        again = write_filesystem(image, board.port)
        assert (again.plan.steps, again.plan.kept) == ((), 4)
    assert {name: data for name, data in files_in(root).items() if name != "main.py"} == TREE


@pytest.mark.parametrize("ram", [24 << 10, 64 << 10])
def test_a_board_with_little_memory(ram, tmp_path, root):
    tree = {"noise.bin": NOISE[:9000], "a.py": b"a" * 3000, "lib/b.py": b"b"}
    with SimulatedBoard(options(root, ram=ram)) as board:
        write_filesystem(put(tmp_path / "image", coded(tree)), board.port)
    assert files_in(root) == tree


@pytest.mark.parametrize("direction", ["lose_at", "flip_at", "lose_down_at", "flip_down_at"])
def test_a_byte_that_is_lost_or_damaged_anywhere_does_no_harm(direction, image, root):
    with SimulatedBoard(options(root)) as board:
        done = write_filesystem(image, board.port, folder="whole")
    total = done.sent if "down" not in direction else done.received
    for number in range(4):
        folder = f"{number}"
        with FaultyBoard(options(root), Faults(**{direction: total * number // 4 + 77})) as board:
            try:
                write_filesystem(image, board.port, folder=folder)
            except LinkError:
                write_filesystem(image, board.port, folder=folder)
        assert files_in(root / folder) == TREE


def test_a_cable_that_is_pulled_anywhere_leaves_old_or_new_files_and_a_rerun_completes(tmp_path, root):
    old = {**TREE, "gone.py": b"g"}
    new = {"app.py": b"new\n" * 99, "lib/util.py": b"x = 1\n", "data/noise.bin": NOISE[::-1], "more.txt": b"m"}
    images = [put(tmp_path / f"{number}", coded(tree)) for number, tree in enumerate((old, new))]
    with SimulatedBoard(options(root)) as board:
        write_filesystem(images[0], board.port)
        total = write_filesystem(images[1], board.port).sent
    for number in range(12):
        with SimulatedBoard(options(root)) as board:
            write_filesystem(images[0], board.port)
        at = total * number // 12 + 1
        faults = Faults(cut_after=at) if number % 2 else Faults(reset_after=at)
        with FaultyBoard(options(root), faults) as board:
            try:
                write_filesystem(images[1], board.port)
            except LinkError as error:
                assert error.status == 4  # noqa: PT017 - a reset before anything was asked is got over
        found = files_in(root)
        found.pop(TEMPORARY, None)
        assert all(found.get(name) in (old.get(name), new.get(name)) for name in {*old, *new})
        with SimulatedBoard(options(root)) as board:
            write_filesystem(images[1], board.port)
        assert files_in(root) == new


def test_an_interrupt_says_what_the_board_has_and_a_rerun_completes(image, board, root):
    def interrupt(event):
        if event.phase == "writing":
            raise KeyboardInterrupt

    with pytest.raises(FlashInterrupted) as caught:
        write_filesystem(image, board.port, on_event=interrupt)
    text = "each file on the board is the old or the new one; run the same command again"
    assert str(caught.value) == text
    write_filesystem(image, board.port)
    assert files_in(root) == TREE


FORGETFUL = """
import builtins
own = builtins.open
class Forgetful:
    def __init__(self, file):
        self.file = file
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()
    def seek(self, offset):
        self.file.seek(offset)
    def write(self, data):
        self.file.write(bytes(data)[:-1] + b"?")
def forgetful_open(name, mode="r"):
    file = own(name, mode)
    return Forgetful(file) if (name, mode) == ("romfs.tmp", "wb") else file
builtins.open = forgetful_open
"""


def test_a_filesystem_that_does_not_keep_what_is_written_is_status_6(image, root):
    with FaultyBoard(options(root), Faults(boot=FORGETFUL)) as board:
        with pytest.raises(VerifyError, match="does not keep what is written to app.py") as caught:
            write_filesystem(image, board.port)
        assert caught.value.status == 6
        assert files_in(root).keys() == {"boot.py"}
