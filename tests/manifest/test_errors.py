"""What a manifest cannot contain: an error with its place and advice, for anything that is not known."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from romfs_manifest import ManifestError, evaluate
from romfs_manifest.manifest.functions import FUNCTIONS
from romfs_manifest.manifest.syntax import MAX_MANIFEST
from tests.manifest.support import evaluated, failure, put, shown, targets

UNSUPPORTED = [
    ("from os import system", "1:1: 'import'"),
    ("options.__class__", "1:1: an attribute"),
    ("x = options.__class__", "1:5: an attribute"),
    ("x = 'a'.upper", "1:5: an attribute"),
    ("x = options.defaults", "1:5: options.defaults without a call"),
    ("(lambda: 0)()", "1:2: 'lambda'"),
    ("while 1: pass", "1:1: 'while'"),
    ("for x in [1]: break", "1:15: 'break'"),
    ("with x: pass", "1:1: 'with'"),
    ("try: pass\nexcept E: pass", "2:8: catching this exception"),
    ("def f(): pass", "1:1: 'def'"),
    ("class C: pass", "1:1: 'class'"),
    ("async def f(): pass", "1:1: 'async def'"),
    ("module('a.py')\n  \nx += 1", "3:1: '+='"),
    ("x: str = 'a'", "1:1: an annotation"),
    ("x.y = 1", "1:1: an attribute"),
    ("x[0] = 1", "1:1: an index"),
    ("module = 'a'", "1:1: assigning to 'module', which manifests use,"),
    ("options = 'a'", "1:1: assigning to 'options', which manifests use,"),
    ("include(f'a{1:>9}')", "1:9: a format after ':'"),
    ("include(f'a{[1]}')", "1:9: a list in an f-string"),
    ("module('a' * 9)", "1:8: an operator"),
    ("module('a' and 'b')", "1:8: an operator"),
    ("module('a' if 1 else 'b')", "1:8: 'if' in an expression"),
    ("if 1 < 2: pass", "1:4: a comparison"),
    ("module(\n  'a.py', opt=not 1)", "2:15: an operator"),
    ("module('a.py', opt=~1)", "1:20: an operator"),
    ("module('a.py', opt=-'1')", "1:20: an operator"),
    ("module(str('a.py'))", "1:8: the result of a call"),
    ("x = module('a.py')", "1:5: the result of a call"),
    ("module(*['a.py'])", "1:8: '*'"),
    ("module(**{})", "1:8: '**'"),
    ("options.defaults(1)", "1:18: a default without a name"),
    ("package('a', files={'b.py'})", "1:20: a set"),
    ("package('a', files=[x for x in ()])", "1:20: a comprehension"),
    ("include('a', x={})", "1:16: a dictionary"),
    ("include('a', x=b'')", "1:16: such a value"),
    ("include('a', x=...)", "1:16: such a value"),
    ("include('a', x=1j)", "1:16: such a value"),
    ("module", "1:1: a name on its own"),
    ("1", "1:1: such a value"),
]


def where(text):
    """Return an error without its column, which depends on the version of Python inside f-strings."""
    return re.sub(r"(manifest.py:\d+):\d+:", r"\1:", text)


@pytest.mark.parametrize(("text", "begins"), UNSUPPORTED)
def test_what_a_manifest_cannot_contain(tmp_path, monkeypatch, text, begins):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"a.py": ""})
    expected, found = f"manifest.py:{begins} is not supported in a manifest", failure(tmp_path, text)
    assert where(found) == where(expected) if "f'" in text else found == expected


def test_every_problem_of_a_file_is_reported_with_what_to_write_instead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"d/manifest.py": "x = {}\nmodule('nope.py')", "a.py": ""})
    text = """\
import os
modul('a.py')
name = os.path.join('a', 'b')
module(name)  # not one more problem: it is that of the line above
os.system('touch PWN')
for one in ['a.py', 'b.py']:
    module(one)
    module(one, opt=9)
include('d')
include('d')
"""
    with pytest.raises(ManifestError) as caught:
        evaluated(tmp_path, text)
    assert shown(tmp_path, str(caught.value)).splitlines() == [
        "manifest.py:1:1: 'import' is not supported in a manifest",
        "  Write out the paths of the files, or use $(NAME) in a path and give that variable a value.",
        "manifest.py:2:1: manifests have no function 'modul'; did you mean 'module'?",
        f"  The functions are {', '.join(FUNCTIONS)}.",
        "manifest.py:3:8: the result of a call is not supported in a manifest",
        "  Write out the paths of the files, or use $(NAME) in a path and give that variable a value.",
        "manifest.py:5:1: an attribute is not supported in a manifest",
        "  Only options.NAME and options.defaults() are known. Write the value out.",
        "manifest.py:8:5: module needs a level from 0 to 3, or None for 'opt'",
        "  Write module(module_path, base_path='.', opt=None).",
        "manifest.py:7:5: the file b.py does not exist",
        "  Name an existing file.",
        "d/manifest.py:1:5: a dictionary is not supported in a manifest",
        "  from manifest.py:9:1",
        "  Use a list of tuples.",
        "d/manifest.py:2:1: the file d/nope.py does not exist",
        "  from manifest.py:9:1",
        "  Name an existing file.",
    ]
    assert caught.value.hint == "Fix these 8 problems."
    assert not (tmp_path / "PWN").exists()


def test_the_number_of_problems_is_bounded(tmp_path):
    problems = failure(tmp_path, "x = {}\n" * 1000)
    assert "manifest.py:50:5: a dictionary" in problems
    assert "manifest.py:51:5: a dictionary" not in problems
    assert "more than 50 errors" in problems


WRONG = [
    ("modul('a.py')", "manifests have no function 'modul'; did you mean 'module'?"),
    ("print('a.py')", "manifests have no function 'print'"),
    ("__import__('os')", "manifests have no function '__import__'"),
    ("module()", "module needs the argument 'module_path'"),
    ("module('a.py', '.', 1, 2)", "module has too many positional arguments"),
    ("module('a.py', optt=1)", "module has no argument 'optt'; did you mean 'opt'?"),
    ("module('a.py', path='a.py')", "module gets the argument 'module_path' twice"),
    ("module('a.py', opt=1, opt=1)", None),
    ("module(['a.py'])", "module needs a string for 'module_path'"),
    ("module('a.py', opt='3')", "module needs a level from 0 to 3, or None for 'opt'"),
    ("module('a.py', opt=4)", "module needs a level from 0 to 3, or None for 'opt'"),
    ("module('a.py', opt=-1)", "module needs a level from 0 to 3, or None for 'opt'"),
    ("module('a.py', opt=True)", "module needs a level from 0 to 3, or None for 'opt'"),
    ("package('a', 'b.py')", "package needs a list of strings, or None for 'files'"),
    ("freeze('.', 1)", "freeze needs a string or a list of strings, or None for 'script'"),
    ("add_library('a', '.', prepend=1)", "add_library needs True or False for 'prepend'"),
    ("metadata('a')", "metadata has too many positional arguments"),
    ("metadata(version=1.0)", "metadata needs a string, or None for 'version'"),
    ("metadata(versoin='1')", "metadata has no argument 'versoin'; did you mean 'version'?"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_calls_that_do_not_match(tmp_path, text, problem):
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


def test_warnings_of_the_parser_are_not_shown(tmp_path, recwarn):
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
    with pytest.raises(ManifestError, match="is not a regular file"):
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
