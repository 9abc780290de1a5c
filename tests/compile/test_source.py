"""Modules in any encoding that CPython reads: what is compiled, or stays `.py`, is UTF-8."""

import codecs
import subprocess
import sys

import pytest

from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.compile.source import CompileError, normalize_source
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import files
from tests.compile.support import compiled, tree_of

TEXT = "name = 'grüße'\n"
ENCODED = {
    "a byte order mark": (codecs.BOM_UTF8 + TEXT.encode(), TEXT),
    "a byte order mark and a declaration": (
        codecs.BOM_UTF8 + b"# coding: utf-8\n" + TEXT.encode(),
        f"# coding: utf-8\n{TEXT}",
    ),
    "Latin-1": (f"# -*- coding: latin-1 -*-\n{TEXT}".encode("latin-1"), f"# -*- coding: utf-8 -*-\n{TEXT}"),
    "Vim's form, after a shebang": (
        f"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n{TEXT}".encode("cp1252"),
        f"#!/usr/bin/python\n# vim: set fileencoding=utf-8 :\n{TEXT}",
    ),
    "Shift JIS": ("# coding=shift_jis\nname = '日本'\n".encode("shift_jis"), "# coding=utf-8\nname = '日本'\n"),
    "line breaks of Windows": ("#coding:latin1\r\nx = 'é'\r\n".encode("latin-1"), "#coding:utf-8\r\nx = 'é'\r\n"),
    "a declaration that comes too late": (
        "\n\n# coding: latin-1\nx = 'é'\n".encode(),
        "\n\n# coding: latin-1\nx = 'é'\n",
    ),
    "a declaration after code": ("x = 1\n# coding: latin-1\ny = 'é'\n".encode(), "x = 1\n# coding: latin-1\ny = 'é'\n"),
    "nothing": (b"", ""),
}
WRONG = [
    (b"x = 1\ny = '\xe9'\n", 2, "the text is not valid UTF-8: byte 0xe9"),
    (b"x = 1\r\ry = '\xe9'\n", 3, "the text is not valid UTF-8: byte 0xe9"),
    (b"# coding: ascii\nx = '\xe9'\n", 2, "the text is not valid ASCII: byte 0xe9"),
    (b"\n# coding: klingon\n", 2, "unknown encoding 'klingon'"),
    (b"# coding: rot13\n", 1, "unknown encoding 'rot13'"),
    (b"# coding: utf-16\n", 1, "unknown encoding 'utf-16'"),
    (b"# coding: utf-16-le\n", 1, "unknown encoding 'utf-16-le'"),
    (
        codecs.BOM_UTF8 + b"# coding: latin-1\n",
        1,
        "the text declares iso8859-1, but begins with the byte order mark of UTF-8",
    ),
    ("\ufeffx = 1\n".encode("utf-16-le"), 1, "the text is UTF-16, which Python does not read"),
    ("\ufeffx = 1\n".encode("utf-32-le"), 1, "the text is UTF-32, which Python does not read"),
    (b"x = 1\n\0", 2, "the text contains a NUL byte"),
]


@pytest.mark.parametrize(("data", "text"), ENCODED.values(), ids=ENCODED)
def test_the_text_of_a_module_becomes_utf_8(data, text):
    assert normalize_source(data) == text.encode()


@pytest.mark.parametrize(("data", "text"), ENCODED.values(), ids=ENCODED)
def test_cpython_reads_the_same_text(data, text, tmp_path):
    (tmp_path / "a.py").write_bytes(data)
    (tmp_path / "b.py").write_bytes(text.encode())
    code = "import ast; print(ast.dump(ast.parse(open('{}', 'rb').read())))"
    first, second = (
        subprocess.run([sys.executable, "-c", code.format(name)], cwd=tmp_path, capture_output=True, check=True).stdout
        for name in ("a.py", "b.py")
    )
    assert first == second


@pytest.mark.parametrize(("data", "line", "reason"), WRONG)
def test_text_that_cpython_does_not_read_either(data, line, reason, tmp_path):
    with pytest.raises(CompileError) as caught:
        normalize_source(data)
    assert (caught.value.line, caught.value.reason) == (line, reason)
    (tmp_path / "a.py").write_bytes(data)
    assert subprocess.run([sys.executable, "a.py"], cwd=tmp_path, capture_output=True, check=False).returncode


@pytest.mark.parametrize(("data", "text"), ENCODED.values(), ids=ENCODED)
def test_the_code_does_not_depend_on_the_encoding(data, text):
    assert compiled({"a.py": data}) == compiled({"a.py": text.encode()})


@pytest.mark.parametrize("mpy", [None, Mpy(exclude=("a.py",))], ids=["no module is compiled", "one is excluded"])
def test_a_module_that_stays_a_py_becomes_utf_8(mpy):
    data, text = ENCODED["Latin-1"]
    tree = compile_tree(tree_of({"a.py": data, "a.txt": data}), Settings(mpy=mpy), cache=None)
    assert {path: file.read() for path, file in files(tree)} == {"a.py": text.encode(), "a.txt": data}


def test_linux_romfs_keeps_the_bytes_of_modules():
    data = ENCODED["Latin-1"][0]
    tree = compile_tree(tree_of({"a.py": data}), Settings(format="linux", mpy=None), cache=None)
    assert [file.read() for _, file in files(tree)] == [data]


@pytest.mark.parametrize("mpy", [None, Mpy()])
def test_a_wrong_encoding_is_reported_with_file_and_line(mpy):
    with pytest.raises(BuildError) as caught:
        compile_tree(tree_of({"a.py": WRONG[0][0], "b.py": b""}), Settings(mpy=mpy), cache=None)
    assert str(caught.value) == (
        "src/a.py:2: the text is not valid UTF-8: byte 0xe9\nSave it as UTF-8, or declare its encoding on line 1 or 2,"
        " such as `# -*- coding: latin-1 -*-`."
    )
