"""What a manifest may say: literal calls, and an error with its place and advice for all else."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from romfs_manifest import ManifestError, evaluate
from romfs_manifest.parse import MAX_MANIFEST
from tests.manifest.support import evaluated, failure, put, targets

UNSUPPORTED = [
    ('import os; os.system("touch PWN")', "1:1: 'import'"),
    ("from os import system", "1:1: 'import'"),
    ("options.__class__", "1:1: an attribute"),
    ("options.defaults(a=1)", "1:1: an attribute"),
    ("(lambda: 0)()", "1:2: 'lambda'"),
    ("if 1:\n    module('a.py')", "1:1: 'if'"),
    ("for x in 'ab':\n    module(x)", "1:1: 'for'"),
    ("while 1: pass", "1:1: 'while'"),
    ("with x: pass", "1:1: 'with'"),
    ("try: pass\nexcept E: pass", "1:1: 'try'"),
    ("def f(): pass", "1:1: 'def'"),
    ("class C: pass", "1:1: 'class'"),
    ("module('a.py')\n  \nx = 1", "3:1: an assignment"),
    ("module(f'a.py')", "1:8: an f-string"),
    ("module('a' + '.py')", "1:8: an operator"),
    ("module(\n  'a.py', opt=not 1)", "2:15: an operator"),
    ("module('a.py', opt=~1)", "1:20: an operator"),
    ("module('a.py', opt=-'1')", "1:20: an operator"),
    ("module('a.py', opt=x)", "1:20: the name 'x'"),
    ("module(str('a.py'))", "1:8: the result of a call"),
    ("module(*['a.py'])", "1:8: '*'"),
    ("module(**{})", "1:8: '**'"),
    ("package('a', files={'b.py'})", "1:20: a set"),
    ("package('a', files=[x for x in ()])", "1:20: a comprehension"),
    ("include('a', x={})", "1:16: a dictionary"),
    ("include('a', x=b'')", "1:16: such a value"),
    ("include('a', x=...)", "1:16: such a value"),
    ("include('a', x=1j)", "1:16: such a value"),
    ("'a note'", "1:1: such a value"),
    ("module", "1:1: the name 'module'"),
    ("'ä'; include('ö', x)", "1:1: such a value"),
    ("include('äöü', x)", "1:16: the name 'x'"),
]


@pytest.mark.parametrize(("text", "begins"), UNSUPPORTED)
def test_anything_but_literal_calls(tmp_path, monkeypatch, text, begins):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"a.py": ""})
    assert failure(tmp_path, text) == f"manifest.py:{begins} is not supported in a manifest"
    assert not (tmp_path / "PWN").exists()


WRONG = [
    ("modul('a.py')", "there is no function 'modul' for manifests; did you mean 'module'?"),
    ("print('a.py')", "there is no function 'print' for manifests"),
    ("__import__('os')", "there is no function '__import__' for manifests"),
    ("module()", "module needs its argument 'module_path'"),
    ("module('a.py', '.', 1, 2)", "module has too many arguments without a name"),
    ("module('a.py', optt=1)", "module has no argument 'optt'; did you mean 'opt'?"),
    ("module('a.py', path='a.py')", "module has its argument 'module_path' twice"),
    ("module('a.py', opt=1, opt=1)", None),
    ("module(['a.py'])", "module needs a string as its argument 'module_path'"),
    ("module('a.py', opt='3')", "module needs a level from 0 to 3, or None as its argument 'opt'"),
    ("module('a.py', opt=4)", "module needs a level from 0 to 3, or None as its argument 'opt'"),
    ("module('a.py', opt=-1)", "module needs a level from 0 to 3, or None as its argument 'opt'"),
    ("module('a.py', opt=True)", "module needs a level from 0 to 3, or None as its argument 'opt'"),
    ("package('a', 'b.py')", "package needs a list of strings, or None as its argument 'files'"),
    ("freeze('.', 1)", "freeze needs a string or a list of strings, or None as its argument 'script'"),
    ("add_library('a', '.', prepend=1)", "add_library needs True or False as its argument 'prepend'"),
    ("metadata('a')", "metadata has too many arguments without a name"),
    ("metadata(version=1.0)", "metadata needs a string, or None as its argument 'version'"),
    ("metadata(versoin='1')", "metadata has no argument 'versoin'; did you mean 'version'?"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_calls_that_do_not_fit(tmp_path, text, problem):
    put(tmp_path, {"a.py": ""})
    expected = f"1:1: {problem}" if problem else "1:23: opt= is given twice"
    assert failure(tmp_path, text) == f"manifest.py:{expected}"


def test_literals(tmp_path):
    put(tmp_path, {"pkg/a.py": "", "pkg/b.py": "", "empty.py": ""})
    text = "package('pk' \"g\", files=('a.py', 'b' '.py',), opt=None)\ninclude('empty.py', a=-1, b=[[-1.5], (True,)])"
    assert targets(evaluated(tmp_path, text)) == ["pkg/a.py", "pkg/b.py"]
    assert evaluated(tmp_path, "# nothing\n").entries == ()


@pytest.mark.parametrize(
    "text", ["(" * 500, "-" * 30_000 + "1", "f(" + "[" * 150 + "]" * 150 + ")", "x" + ".y" * 30_000, "\0", "f('"]
)
def test_hostile_syntax(tmp_path, text):
    assert failure(tmp_path, text).startswith("manifest.py:1:")


def test_what_python_warns_of_is_not_heard(tmp_path, recwarn):
    put(tmp_path, {"a.py": ""})
    failure(tmp_path, r"module('\d.py')")
    assert not recwarn


@pytest.mark.parametrize(
    "text", ["\ufeffmodule('a.py')", "# coding: latin-1\nmodule('a.py')", "module('a.py')\r\n", "\rmodule('a.py')"]
)
def test_encodings_that_are_read(tmp_path, text):
    put(tmp_path, {"a.py": ""})
    assert targets(evaluated(tmp_path, text.encode())) == ["a.py"]


def test_other_encodings(tmp_path):
    text = "# coding: latin-1\n\nmodule('ä.py')".encode("latin-1")
    assert failure(tmp_path, text) == "manifest.py:3:1: the manifest is not valid UTF-8"


def test_a_manifest_that_is_too_large(tmp_path):
    assert "has more than 65,536 bytes" in failure(tmp_path, "#" * (MAX_MANIFEST + 1))
    assert not evaluated(tmp_path, "#" * MAX_MANIFEST).entries


def test_manifests_that_cannot_be_read(tmp_path):
    with pytest.raises(ManifestError, match="cannot read .*nope.py: No such file"):
        evaluate(tmp_path / "nope.py")
    with pytest.raises(ManifestError, match="cannot read .*manifest.py: No such file"):
        evaluate(tmp_path)
    (tmp_path / "manifest.py").mkdir()
    with pytest.raises(ManifestError, match="is not a file"):
        evaluate(tmp_path)


def test_evaluating_in_threads(tmp_path):
    """No state of the process is used, such as the current folder."""
    put(
        tmp_path,
        {f"{n}/d/{n}.py": "" for n in range(4)} | {f"{n}/d/manifest.py": f"module('{n}.py')" for n in range(4)},
    )
    put(tmp_path, {f"{n}/manifest.py": "include('d')" for n in range(4)})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: targets(evaluate(tmp_path / str(n))), [0, 1, 2, 3] * 20))
    assert found == [["0.py"], ["1.py"], ["2.py"], ["3.py"]] * 20
