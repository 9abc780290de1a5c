"""Generated manifests give a result or a ManifestError, and do nothing to the machine."""

import ast
import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from romfs_manifest import Manifest, ManifestError, evaluate, read_entry
from romfs_manifest.manifest.functions import FUNCTIONS
from tests.manifest.support import put

NEVER = ("exec", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "tempfile.", "import")
READING = ("os.scandir", "os.listdir", "os.walk")
watching: list[str] = []
broken: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not watching:
        return
    if event == "open":
        mode, flags = arguments[1:]
        writes = set(mode or "r") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        harmless = not writes and _is_inside(arguments[0])
    elif event == "compile":  # of syntax trees only
        code = sys._getframe(1).f_code
        harmless = (code.co_filename, code.co_name) == (ast.__file__, "parse")
    else:
        harmless = (event in READING and _is_inside(arguments[0])) or not event.startswith(NEVER)
    if not harmless:
        broken.append(f"{event}{arguments}")
        raise RuntimeError(event)


sys.addaudithook(_watch)


def _is_inside(path):
    """Return whether a path is in the folder that is watched, if one is."""
    return os.path.realpath(path).startswith(watching[0])


@contextmanager
def watched(root=""):
    """Let everything that an evaluation must not do fail, and record it in ``broken``.

    With ``root``, nothing outside of that folder may be read.
    """
    watching.append(os.path.realpath(root) if root else "")
    try:
        yield
    finally:
        watching.clear()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    files: dict[str, str | bytes] = {
        "a.py": "x = 1",
        "p/__init__.py": "",
        "p/b.py": "",
        "p/d/c.py": "",
        "m/a.mpy": b"M\x06\x00\x1f",
        "d/manifest.py": "module('e.py')\ninclude('../manifest.py')",
        "d/e.py": "",
        "lib/python-stdlib/one/manifest.py": "metadata(version='1')\nmodule('one.py')\nrequire('one')",
        "lib/python-stdlib/one/one.py": "__version__",
    }
    root = put(tmp_path_factory.mktemp("fuzz"), files)
    # Modules are imported when they are first used, which is allowed.
    for text in ("metadata(version='1')\nmodule('a.py')", "modul()", "("):
        put(root, {"manifest.py": text})
        with suppress(ManifestError):
            evaluated(root)
    return root


def outcome(root, data):
    """Evaluate ``data`` and read what it names; return that, or the error, which must be a ManifestError."""
    (root / "manifest.py").write_bytes(data)
    result: Manifest | ManifestError
    try:
        with watched():
            result = evaluated(root)
    except ManifestError as error:
        result = error
    assert not broken
    for problem in getattr(result, "problems", [result] if isinstance(result, ManifestError) else []):
        assert str(problem)
        assert problem.place
        assert problem.hint
    return result


def evaluated(root):
    found = evaluate(root, variables={"MPY_LIB_DIR": root / "lib", "X": root / "p"})
    for entry in found.entries:
        read_entry(entry)
    return found


paths = st.sampled_from(
    [".", "", "a.py", "p", "p/", "p/b.py", "b.py", "d", "../a.py", "/", "a//b", "$(X)", "$(NO)", "one", "m", "nope"]
)
texts = paths | st.text(max_size=8)
numbers = st.integers(-2, 5) | st.floats() | st.integers()
literals = st.recursive(
    texts.map(repr) | numbers.map(repr) | st.sampled_from(["None", "True", "False"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)
names = st.sampled_from(sorted({one.name for function in FUNCTIONS.values() for one in function.parameters}))
FITTING = [
    "package('p', opt=3)",
    "package('p', files=['b.py'])",
    "module('a.py')",
    "module('b.py', base_path='p')",
    "freeze('$(X)')",
    "freeze('p', ('d', 'b.py'), opt=1)",
    "freeze_as_str('d')",
    "freeze_mpy('m')",
    "freeze_as_mpy('.', 'a.py')",
    "include('d')",
    "include(['d', 'd'], x=1)",
    "require('one')",
    "add_library('x', 'lib', prepend=True)",
    "c_module('m')",
]
fitting = st.sampled_from(FITTING)


@st.composite
def calls(draw):
    positional = draw(st.lists(literals, max_size=3))
    keywords = [f"{name}={draw(literals)}" for name in draw(st.lists(names, max_size=3))]
    return f"{draw(st.sampled_from(sorted(FUNCTIONS)))}({', '.join([*positional, *keywords])})"


manifests = st.lists(calls() | fitting, max_size=6).map("\n".join)

# A grammar of Python at large, most of which no manifest may have.
atoms = literals | st.sampled_from(
    [
        "x",
        "os",
        "options",
        "options.x",
        "__import__('os')",
        "...",
        "b''",
        "1j",
        "f'{x}'",
        "f'{1}{x!r:>9}'",
        "{}",
        "print",
    ]
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " and ", " < ", " @ ", " if x else ", ", ", " := "]), inner).map(
            "".join
        ),
        inner.map("({})".format),
        inner.map("{}.system('touch PWN')".format),
        inner.map("lambda: {}".format),
        inner.map("-{}".format),
        inner.map("not {}".format),
        inner.map("*{}".format),
        inner.map("await {}".format),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}[{two[1]}]"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}({two[1]}, **{two[1]})"),
        inner.map("[x for x in {}]".format),
    ),
    max_leaves=8,
)
statements = st.recursive(
    expressions
    | expressions.map("x = {}".format)
    | expressions.map("x, os = {}".format)
    | expressions.map("options.defaults(x={})".format)
    | fitting
    | st.just("import os; os.system('touch PWN')"),
    lambda inner: st.tuples(
        st.sampled_from(
            [
                "if x:",
                "for x in y:",
                "for x in ['a.py', 'p', 1]:",
                "for x, os in [('a', 'b')]:",
                "if options.x:",
                "if x: pass\nelse:",
                "try: freeze('nope')\nexcept OSError:",
                "while 1:",
                "def f():",
                "class C:",
                "with x:",
                "async def f():",
                "match x:\n  case _:",
                "try:",
            ]
        ),
        inner,
    ).map(lambda two: f"{two[0]}\n" + "\n".join(f"    {line}" for line in two[1].split("\n"))),
    max_leaves=4,
)
programs = st.lists(statements, max_size=4).map("\n".join)
fuzzed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@given(manifests)
@fuzzed
def test_calls(tree, text):
    outcome(tree, text.encode(errors="surrogatepass"))


@given(programs)
@fuzzed
def test_programs(tree, text):
    outcome(tree, text.encode(errors="surrogatepass"))


@given(
    st.lists(fitting, min_size=1, max_size=8).map("\n".join),
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(
                [b"(", b")", b"'", b",", b"=", b"*", b"\n", b"", b"\\", b".", b"#", b"/", b"f", b"\xff", b"\0", b"["]
            ),
        )
    ),
)
@fuzzed
def test_manifests_with_mistakes(tree, text, mistakes):
    data = bytearray(text.encode())
    for at, mistake in mistakes:
        data[at : at + 1] = mistake
    outcome(tree, bytes(data))


@given(st.binary(max_size=60))
@fuzzed
def test_bytes(tree, data):
    outcome(tree, data)


def test_valid_calls_are_valid(tree):
    """The grammar above reaches more than errors."""
    found = [outcome(tree, f"metadata(version='1')\n{text}".encode()) for text in FITTING]
    assert not [one for one in found if isinstance(one, ManifestError)]


@pytest.mark.parametrize(
    "harm",
    [
        lambda root: (root / "x").open("w"),
        lambda root: os.system("true"),  # noqa: S605
        lambda root: exec("1"),  # noqa: S102
        lambda root: compile("1", "x", "eval"),
        lambda root: socket.socket(),
        lambda root: subprocess.run(["true"], check=True),
        lambda root: (root / "a.py").unlink(),
    ],
)
def test_the_audit_hook_sees_harm(tree, harm):
    with pytest.raises(RuntimeError), watched():
        harm(tree)
    broken.clear()
