"""A full disk is an error: never half a module, neither in the image nor in the cache."""

import subprocess
import sys
import tempfile

import pytest

from hatch_romfs.cache import Cache
from hatch_romfs.compile.mpy_cross import find_compiler
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.subtables import Mpy
from tests.commands import unmeasured
from tests.compile.support import LARGE_OUTPUT, NEWEST, compiled, linux, posix

FULL = "cannot compile: [Errno 28] No space left on device\nFree some disk space for temporary files."
MODULES = {f"m{number:02}.py": LARGE_OUTPUT.replace(b"abcd", b"ab%02d" % number) for number in range(24)}


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Return what mounts a small disk for temporaries."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def mount(options: str):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root mounts, where it may")
        mounted.append(folder)
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    yield mount
    left = list(folder.iterdir())
    for path in mounted:
        subprocess.run(["umount", path], check=True)
    assert left == []


def outcome(modules: dict[str, bytes], cache: Cache) -> dict[str, bytes] | str:
    """Return what was made, or what was said."""
    try:
        return compiled(modules, cache=cache)
    except BuildError as error:
        return str(error)


def spoilt(modules: dict[str, bytes], cache: Cache) -> list[str]:
    """List the modules that the cache has something for that is not what they compile to."""
    compiler = find_compiler(Mpy())
    kept = {name[:-3] + ".mpy": cache.get(compiler.key(name, data)) for name, data in modules.items()}
    good = compiled(modules)
    return [path for path, data in kept.items() if data not in (None, good[path])]


@linux
@pytest.mark.parametrize("kilobytes", range(4, 33, 4))
def test_a_disk_without_room_for_one_module(disk, cache, monkeypatch, kilobytes):
    good = compiled({"a.py": LARGE_OUTPUT})
    disk(f"size={kilobytes}k")
    said = outcome({"a.py": LARGE_OUTPUT}, cache)
    assert said in (FULL, good)
    if kilobytes * 1024 < len(LARGE_OUTPUT):
        assert said == FULL
    monkeypatch.undo()
    assert spoilt({"a.py": LARGE_OUTPUT}, cache) == []


@linux
def test_a_disk_without_room_for_one_more_file(disk, cache):
    disk("size=1m,nr_inodes=2")
    said = outcome({"a.py": LARGE_OUTPUT}, cache)
    reason, hint = FULL.split("\n")
    assert isinstance(said, str)
    assert said.startswith(reason)
    assert said.endswith(f"\n{hint}")


@linux
def test_a_disk_that_is_full_but_for_a_moment(disk, cache, script, scratch):
    # What another module, or another program, frees in the wrong moment makes room for the next write but not for the
    # one before it, whose failure mpy-cross does not tell.
    folder = disk("size=64k")
    script(
        f'dd if=/dev/zero of="{folder}/fill" bs=4096 2>/dev/null\ntruncate -s -4096 "{folder}/fill"\n'
        f'"{NEWEST}" "$@"\nstatus=$?\nrm "{folder}/fill"\nexit $status'
    )
    said = outcome({"a.py": LARGE_OUTPUT}, cache)
    tempfile.tempdir = str(scratch)
    script(f'exec "{NEWEST}" "$@"')
    assert said in (FULL, compiled({"a.py": LARGE_OUTPUT}))


@linux
@pytest.mark.parametrize("kilobytes", [92, 100, 116, 132])
def test_a_disk_without_room_for_all_at_once(disk, cache, scratch, kilobytes):
    good = compiled(MODULES)
    disk(f"size={kilobytes}k")
    said = outcome(MODULES, cache)
    tempfile.tempdir = str(scratch)
    assert spoilt(MODULES, cache) == []
    assert said in (FULL, good)


LIMITED = """
import resource
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent
tree = Directory({"a.py": File(MemoryContent(b"X = '" + b"abcdefgh" * 1500 + b"'"), "a.py")})
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
try:
    compile_tree(tree, Settings(mpy=Mpy()), cache=None)
except BuildError as error:
    print(error)
"""


@posix
def test_a_file_that_may_not_grow():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], env=unmeasured(), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{FULL}\n", "")
