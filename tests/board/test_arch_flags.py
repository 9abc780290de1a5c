"""Architecture flags of an image's code against the board's, before anything is erased."""

import pytest

from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.settings.values import ARCHS
from tests import judges
from tests.board.boards import held, options, put
from tests.board.faulty import Faults, FaultyBoard
from tests.compile.support import NATIVE, by_hand
from tests.trees import tree

BYTECODE = b"x = 1\n"
RV32, ARMV7EM = ARCHS.index("rv32imc") + 1, ARCHS.index("armv7em") + 1
HINT = "Set tool.romfs.mpy.micropython, .arch and .arch-flags for this board, or write it all the same with --force.\n"


@pytest.fixture
def image(tmp_path):
    """An image with code for each set of flags: native code, and one module of bytecode with flags."""
    made = {
        f"{name}.mpy": by_hand(f"{name}.py", source, tmp_path, "-march=rv32imc", f"-march-flags={flags}")
        for name, source, flags in (
            ("both", NATIVE, "zba,zcmp"),
            ("bytecode", BYTECODE, "zcmp"),
            ("none", NATIVE, "0"),
            ("zba", NATIVE, "zba"),
        )
    }
    return put(tmp_path / "image", b"".join(image_chunks(lay_out(tree(made)))))


def firmware(arch: int, flags: int = 0) -> Faults:
    return Faults(mpy=6 | 3 << 8 | arch << 10 | flags << 16)


def test_a_board_with_all_of_the_flags_takes_the_image(image, romfs_flash):
    with FaultyBoard(options("rp2"), firmware(RV32, 3)) as board:
        assert romfs_flash(image, "--port", board.port).status == 0
        assert held(board).startswith(image.read_bytes())


@pytest.mark.parametrize(("flags", "names"), [(1, "zba"), (5, "zba,0x4")])
def test_files_that_need_flags_the_board_lacks_are_named(image, romfs_flash, flags, names):
    with FaultyBoard(options("rp2"), firmware(RV32, flags)) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert (ran.status, ran.out) == (5, "")
        assert ran.err == (
            f"error: both.mpy needs rv32imc with zba,zcmp, the board has {names}\n"
            f"bytecode.mpy needs rv32imc with zcmp, the board has {names}\n"
            f"{HINT}"
        )
        assert set(held(board)) == {0xFF}
        assert romfs_flash(image, "--force", "--port", board.port).status == 0
        assert held(board).startswith(image.read_bytes())


def test_a_board_without_flags(image, romfs_flash):
    with FaultyBoard(options("rp2"), firmware(RV32)) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert "zba.mpy needs rv32imc with zba, the board has none\n" in ran.err
        assert "none.mpy" not in ran.err


def test_another_architecture_takes_no_file_with_flags(image, romfs_flash):
    """Not even bytecode."""
    with FaultyBoard(options("rp2"), firmware(ARMV7EM)) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert ran.status == 5
        assert "bytecode.mpy needs rv32imc with zcmp, the board runs armv7em\n" in ran.err
        assert "zba.mpy is rv32imc code of version 6.3, the board runs armv7em of 6.3\n" in ran.err
        assert set(held(board)) == {0xFF}


def test_the_real_micropython_refuses_bytecode_with_flags(tmp_path):
    """The simulated board's own: it runs no RISC-V code."""
    by_hand("flagged.py", BYTECODE, tmp_path, "-march=rv32imc", "-march-flags=zba")
    code = "import sys\nsys.path.insert(0, '')\ntry:\n import made\nexcept ValueError as error:\n print(error)\n"
    assert judges.micropython(code, cwd=tmp_path) == "incompatible .mpy file\n"
    by_hand("plain.py", BYTECODE, tmp_path, "-march=rv32imc")
    assert judges.micropython(code, cwd=tmp_path) == ""
