"""`.mpy` files that were compiled elsewhere: an error if the board cannot load them, wherever they come from."""

import pytest

from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.compile.precompiled import precompiled_warnings
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.settings.values import ARCHS
from tests.compile.support import tree_of

HINT = "Use the .py file instead, or set tool.romfs.mpy.arch to the board's."


def mpy_file(arch=None, *, letter=b"M", version=6, sub_version=3, bits=31):
    flags = 0 if arch is None else (ARCHS.index(arch) + 1) << 2 | sub_version
    return letter + bytes((version, flags, bits))


WRONG = {
    "CircuitPython": (mpy_file(letter=b"C"), Mpy(), "compiled for CircuitPython, not for MicroPython"),
    "text": (b"import x\n", Mpy(), "not a .mpy file"),
    "nothing": (b"", Mpy(), "not a .mpy file"),
    "an older version": (mpy_file(version=5), Mpy(), ".mpy version 5; boards load 6"),
    "64 bits": (mpy_file(bits=63), Mpy(), "compiled for integers of 63 bits; boards have 31"),
    "another architecture": (
        mpy_file("xtensawin"),
        Mpy("armv7emsp"),
        "xtensawin code, and tool.romfs.mpy.arch is armv7emsp",
    ),
    "too new a core": (mpy_file("armv7em"), Mpy("armv6m"), "armv7em code, and tool.romfs.mpy.arch is armv6m"),
    "older native code": (
        mpy_file("armv7em", sub_version=2),
        Mpy("armv7em"),
        "native code of version 6.2; boards load 6.3",
    ),
}


@pytest.mark.parametrize(("data", "mpy", "problem"), WRONG.values(), ids=WRONG)
def test_a_file_that_the_board_cannot_load_is_an_error(data, mpy, problem):
    for settings in [Settings(mpy=mpy), *([] if mpy.arch else [Settings(mpy=None)])]:
        with pytest.raises(BuildError) as caught:
            compile_tree(tree_of({"d/x.mpy": data}), settings, cache=None)
        assert str(caught.value) == f"src/d/x.mpy is {problem}\n{HINT}"


@pytest.mark.parametrize(
    ("data", "mpy"),
    [
        (mpy_file(), None),
        (mpy_file(), Mpy("armv6m")),
        (mpy_file(bits=63), Mpy("x64")),
        (mpy_file("armv7m"), Mpy("armv7emsp")),
        (mpy_file("armv7em", sub_version=2), Mpy("armv7em", micropython="1.22")),
        (mpy_file("xtensawin"), None),
    ],
)
def test_a_file_that_the_board_can_load_is_packed_as_it_is(data, mpy):
    tree = tree_of({"x.mpy": data})
    assert compile_tree(tree, Settings(mpy=mpy), cache=None) is tree


def test_native_code_for_an_unknown_board_is_a_warning():
    tree = tree_of({"a.mpy": mpy_file(), "x.mpy": mpy_file("xtensawin")})
    text = "x.mpy is xtensawin code: other boards cannot load it; set tool.romfs.mpy.arch to check it"
    assert list(precompiled_warnings(tree, Settings())) == [text]
    assert list(precompiled_warnings(tree, Settings(mpy=None))) == [text]
    assert list(precompiled_warnings(tree, Settings(mpy=Mpy("xtensawin")))) == []


def test_linux_romfs_can_contain_anything():
    tree = tree_of({"x.mpy": b"C"})
    assert compile_tree(tree, Settings(format="linux", mpy=None), cache=None) is tree
