"""The first bytes of a .mpy file, as real compilers write them."""

import pytest

from hatch_romfs.compile.header import MpyHeader, read_header
from hatch_romfs.settings.values import ARCHS
from tests.compile.support import NATIVE, NEWEST, by_hand, runnable

SINCE = {"rv32imc": "v1.25", "rv64imc": "v1.27"}
OLDER = [("v1.19", 0), ("v1.20.0", 1), ("v1.22.0", 2), ("v1.23.0", 3)]
NO_NATIVE_CODE = "rv64imc"  # known to the newest compiler, which makes no native code for it yet


@pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch != NO_NATIVE_CODE])
def test_native_code_of_the_newest_compiler(tmp_path, arch):
    assert read_header(by_hand("a.py", NATIVE, tmp_path, f"-march={arch}")) == MpyHeader(6, 3, arch)


@pytest.mark.parametrize("arch", ARCHS)
def test_bytecode_has_no_architecture(tmp_path, arch):
    header = read_header(by_hand("a.py", b"x = 1\n", tmp_path, f"-march={arch}"))
    assert header == MpyHeader(6, 0, None)


@pytest.mark.parametrize(("release", "sub_version"), OLDER)
@pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch not in SINCE])
def test_native_code_of_older_compilers(tmp_path, release, sub_version, arch):
    made = by_hand("a.py", NATIVE, tmp_path, f"-march={arch}", compiler=runnable(release, tmp_path))
    assert read_header(made) == MpyHeader(6, sub_version, arch)


@pytest.mark.parametrize(("release", "version"), [("v1.12", 5), ("v1.11", 4)])
def test_versions_before_ours(tmp_path, release, version):
    header = read_header(by_hand("a.py", b"x = 1\n", tmp_path, compiler=runnable(release, tmp_path)))
    assert header is not None
    assert header.version == version


def test_the_first_four_bytes_are_enough(tmp_path):
    made = by_hand("a.py", NATIVE, tmp_path, "-march=armv7emsp")
    assert read_header(made[:4]) == read_header(made) == MpyHeader(6, 3, "armv7emsp")


@pytest.mark.parametrize(
    "data", [b"", b"M", b"M\x06\x00", b"x = 1\n", b"C\x06\x00\x1f", b"M\x06\x34\x1f", b"M\x06\x3c\x1f", b"\x7fELF"]
)
def test_bytes_that_are_not_an_mpy_file(data):
    assert read_header(data) is None


def test_the_compiler_itself_is_not_an_mpy_file():
    with NEWEST.open("rb") as file:
        assert read_header(file.read(64)) is None
