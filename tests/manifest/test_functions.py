"""Every function of a manifest: what it adds, what it rejects, and what its paths are relative to."""

import os

import pytest

from romfs_manifest import evaluate, read_entry
from tests.manifest.support import evaluated, failure, put, shown, targets

MPY = b"M\x06\x00\x1f\x01"


def short(manifest):
    return [(entry.target, entry.kind, entry.opt) for entry in manifest.entries]


def test_package(tmp_path):
    put(tmp_path, {"src/p/__init__.py": "", "src/p/d/B.PY": "", "src/p/d/c.txt": "", "src/p/.py": "", "src/q.py": ""})
    found = evaluated(tmp_path, "package('p', base_path='src', opt=3)")
    assert short(found) == [("p/__init__.py", "mpy", 3), ("p/d/B.PY", "mpy", 3)]
    entry = found.entries[0]
    assert entry.source == tmp_path / "src" / "p" / "__init__.py"
    assert (entry.manifest, entry.line) == (tmp_path / "manifest.py", 1)
    assert short(evaluated(tmp_path, "package('p/', ['d/B.PY'], 'src')")) == [("p/d/B.PY", "mpy", None)]
    assert targets(evaluated(tmp_path, "package('.', base_path='src/p')")) == ["__init__.py", "d/B.PY"]
    assert targets(evaluated(tmp_path, "package('', ['q.py'], 'src')")) == ["q.py"]
    assert failure(tmp_path, "\npackage('nope')") == "manifest.py:2:1: the folder nope does not exist"
    assert failure(tmp_path, "package('p', base_path='nope')").endswith("the folder nope/p does not exist")
    assert failure(tmp_path, "package('p', ['nope.py'], 'src')").endswith("the file src/p/nope.py does not exist")
    assert failure(tmp_path, "package('p', ['d/c.txt'], 'src')").endswith("'p/d/c.txt' is not a .py or .mpy file")


def test_a_package_without_modules(tmp_path):
    put(tmp_path, {"p/a.txt": ""})
    (warning,) = evaluated(tmp_path, "package('p')").warnings
    assert shown(tmp_path, warning) == "manifest.py:1:1: no .py file in p"


def test_module(tmp_path):
    put(tmp_path, {"a.py": "", "src/b.py": "", "src/c.txt": ""})
    assert short(evaluated(tmp_path, "module('a.py')\nmodule('b.py', 'src', opt=0)")) == [
        ("a.py", "mpy", None),
        ("b.py", "mpy", 0),
    ]
    assert targets(evaluated(tmp_path, "module('src/b.py')")) == ["src/b.py"]
    assert failure(tmp_path, "module('nope.py')") == "manifest.py:1:1: the file nope.py does not exist"
    assert failure(tmp_path, "module('src')").endswith("the file src does not exist")
    assert failure(tmp_path, "module('src/c.txt')").endswith("'src/c.txt' is not a .py file")


FROZEN: dict[str, str | bytes] = {"m/a.py": "", "m/b.mpy": MPY, "m/d/q.py": "", "m/d/r.mpy": MPY, "m/d/n.txt": ""}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("freeze('m')", ["a.py mpy", "b.mpy copy", "d/q.py mpy", "d/r.mpy copy"]),
        ("freeze('m', 'a.py')", ["a.py mpy"]),
        ("freeze('m', 'd/q.py')", ["d/q.py mpy"]),
        ("freeze('m', ('a.py', 'd'))", ["a.py mpy", "d/q.py mpy", "d/r.mpy copy"]),
        ("freeze('m', 'd')", ["d/q.py mpy", "d/r.mpy copy"]),
        ("freeze('m', 'd/')", ["d/q.py mpy", "d/r.mpy copy"]),
        ("freeze('$(PORT_DIR)/m', 'd')", ["d/q.py mpy", "d/r.mpy copy"]),
        ("freeze_as_mpy('m')", ["a.py mpy", "d/q.py mpy"]),
        ("freeze_as_mpy('m', ['a.py'])", ["a.py mpy"]),
        ("freeze_as_str('m')", ["a.py str", "d/q.py str"]),
        ("freeze_mpy('m')", ["b.mpy copy", "d/r.mpy copy"]),
        ("freeze_mpy('m', 'b.mpy')", ["b.mpy copy"]),
        ("freeze('m', [])", []),
    ],
)
def test_freezing(tmp_path, call, expected):
    put(tmp_path, FROZEN)
    found = evaluated(tmp_path, call, variables={"PORT_DIR": tmp_path})
    assert [f"{entry.target} {entry.kind}" for entry in found.entries] == expected
    assert not found.warnings


def test_only_compiled_files_have_an_optimization_level(tmp_path):
    found = evaluated(put(tmp_path, FROZEN), "freeze('m', opt=2)")
    assert [entry.opt for entry in found.entries] == [2, None, 2, None]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("freeze('nope')", "the folder nope does not exist"),
        ("freeze('m', 'nope')", "the file m/nope does not exist"),
        ("freeze('m/a.py')", "the folder m/a.py does not exist"),
        ("freeze('m', 'd/n.txt')", "'d/n.txt' is not a .py or .mpy file"),
        ("freeze_as_mpy('m', 'b.mpy')", "'b.mpy' is not a .py file"),
        ("freeze_mpy('m', 'a.py')", "'a.py' is not a .mpy file"),
        ("freeze_as_str('nope')", "the folder nope does not exist"),
    ],
)
def test_invalid_freezes(tmp_path, call, problem):
    assert failure(put(tmp_path, FROZEN), call) == f"manifest.py:1:1: {problem}"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a .mpy file of MicroPython"),
        (b"M\x06\x00", "is not a .mpy file of MicroPython"),
        (b"C\x06\x00\x1f", "is not a .mpy file of MicroPython"),
        (b"M\x05\x00\x1f", "has .mpy version 5, but boards with ROMFS load version 6 or later"),
    ],
)
def test_mpy_files_are_known_by_their_header(tmp_path, data, problem):
    put(tmp_path, {"a.mpy": data})
    assert failure(tmp_path, "freeze_mpy('.')") == f"manifest.py:1:1: a.mpy {problem}"


def test_c_module(tmp_path):
    (warning,) = evaluated(tmp_path, "c_module('x')").warnings
    assert (
        shown(tmp_path, warning)
        == "manifest.py:1:1: x is a C module, which is compiled into firmware; it adds nothing to the image"
    )
    assert failure(tmp_path, "c_module('$(X)/x')") == "manifest.py:1:1: the variable 'X' is not set"


def test_include(tmp_path):
    put(tmp_path, {"d/manifest.py": "module('a.py')\ninclude('../e/other.py')", "d/a.py": ""})
    put(
        tmp_path,
        {"e/other.py": "include(['../d', '../manifest.py'])\nmodule('b.py', base_path='sub')", "e/sub/b.py": ""},
    )
    found = evaluated(tmp_path, "include(('d',))")
    assert targets(found) == ["a.py", "b.py"]
    assert not found.warnings
    assert [shown(tmp_path, f"{entry.manifest}:{entry.line}") for entry in found.entries] == [
        "d/manifest.py:1",
        "e/other.py:2",
    ]


def test_errors_name_the_calls_that_led_to_them(tmp_path):
    put(tmp_path, {"d/manifest.py": "\n\n   \ninclude('../e.py')", "e.py": "module(1)", "f.py": "x += 1"})
    assert failure(tmp_path, "#\ninclude('d')") == (
        "e.py:1:1: module needs a string for 'module_path'\n  from d/manifest.py:4:1\n  from manifest.py:2:1"
    )
    assert failure(tmp_path, "include('f.py')") == (
        "f.py:1:1: '+=' is not supported in a manifest\n  from manifest.py:1:1"
    )
    assert failure(tmp_path, "include('nope')").startswith("manifest.py:1:1: cannot read nope: ")


def test_included_twice(tmp_path):
    put(tmp_path, {"d/manifest.py": "module('a.py')", "d/a.py": ""})
    once = evaluated(tmp_path, "include('d', x=1)\ninclude('d/manifest.py', x=1)")
    assert (targets(once), once.warnings) == (["a.py"], ())
    twice = evaluated(tmp_path, "include('d')\ninclude('d/manifest.py', x=1)")
    assert targets(twice) == ["a.py"]
    assert [shown(tmp_path, warning) for warning in twice.warnings] == [
        "manifest.py:2:1: d/manifest.py was included before with other options, which apply; this call adds nothing"
    ]


def test_a_manifest_that_includes_itself(tmp_path):
    put(tmp_path, {"a.py": ""})
    text = "include('manifest.py')\nmodule('a.py')"
    assert not evaluated(tmp_path, text).warnings
    assert len(evaluated(tmp_path, text, options={"x": 1}).warnings) == 1
    assert not evaluated(tmp_path, "include('manifest.py', x=1)", options={"x": 1}).warnings


def test_includes_that_are_too_deep(tmp_path):
    put(tmp_path, {f"{n}.py": f"include('{n + 1}.py')" for n in range(60)})
    assert "include one another more than 50 deep" in failure(tmp_path, "include('0.py')")


def test_variables(tmp_path, monkeypatch):
    put(
        tmp_path,
        {"port/m/a.py": "", "d/manifest.py": "freeze('$(PORT_DIR)/m')\ninclude('$(BOARD)_$(N).py')", "d/x_1.py": ""},
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for value in ("../port", f"..{os.sep}port", tmp_path / "port"):
        found = evaluate(tmp_path / "d", variables={"PORT_DIR": value, "BOARD": "x", "N": "1"})
        assert [entry.source for entry in found.entries] == [tmp_path / "port" / "m" / "a.py"]
    assert (
        failure(tmp_path, "freeze('$(NOPE)')", variables={"A": "b"})
        == "manifest.py:1:1: the variable 'NOPE' is not set"
    )
    for call in (
        "module('a.py', '$(P)')",
        "package('m', base_path='$(P)')",
        "include('$(P)')",
        "add_library('x', '$(P)')",
    ):
        assert failure(tmp_path, call) == "manifest.py:1:1: the variable 'P' is not set"
    # A value is text: nothing in it is expanded once more.
    assert failure(tmp_path, "freeze('$(A)')", variables={"A": "$(B)", "B": "d"}).endswith(
        "the folder $(B) does not exist"
    )


LIBRARY = {
    "lib/micropython/net/one/manifest.py": "metadata(version='1.0')\nmodule('one.py')\nrequire('two', x=1)",
    "lib/micropython/net/one/one.py": "",
    "lib/python-stdlib/two/manifest.py": "module('two.py')",
    "lib/python-stdlib/two/two.py": "",
    "lib/python-stdlib/one/manifest.py": "module('shadowed.py')",
    "lib/unix-ffi/two/manifest.py": "module('two.py', base_path='ffi')",
    "lib/unix-ffi/two/ffi/two.py": "#",
    "lib/unix-ffi/three/manifest.py": "",
    "mine/manifest.py": "module('mine.py')",
    "mine/mine.py": "",
}


def required(tmp_path, text, **more):
    put(tmp_path, LIBRARY)
    found = evaluated(tmp_path, text, variables={"MPY_LIB_DIR": tmp_path / "lib"}, **more)
    return [shown(tmp_path, str(entry.source)) for entry in found.entries]


def test_require(tmp_path):
    one, two = "lib/micropython/net/one/one.py", "lib/python-stdlib/two/two.py"
    ffi = "lib/unix-ffi/two/ffi/two.py"
    assert required(tmp_path, "require('one')") == [one, two]
    assert required(tmp_path, "require('one', '9.9', pypi='x')") == [one, two]
    add = "add_library('unix-ffi', '$(MPY_LIB_DIR)/unix-ffi'"
    assert required(tmp_path, f"{add})\nrequire('two')\nrequire('three')") == [two]
    assert required(tmp_path, f"{add}, prepend=True)\nrequire('one')") == [one, ffi]
    assert required(tmp_path, f"{add})\nrequire('two', library='unix-ffi')") == [ffi]
    assert required(tmp_path, "require('two', library='python-stdlib')") == [two]
    assert required(tmp_path, "require('mine')", libraries={"x": tmp_path / "mine"}) == ["mine/mine.py"]


def test_packages_that_are_not_found(tmp_path):
    put(tmp_path, LIBRARY)
    variables = {"MPY_LIB_DIR": tmp_path / "lib"}
    assert failure(tmp_path, "require('one')").startswith("manifest.py:1:1: there is no library that")
    text = "no package 'three' (a folder of that name with a manifest.py) in "
    text += "lib/micropython, lib/python-stdlib"
    assert failure(tmp_path, "require('three')", variables=variables) == f"manifest.py:1:1: {text}"
    assert failure(tmp_path, "require('net/one')", variables=variables).startswith("manifest.py:1:1: no package")
    assert failure(tmp_path, "require('two', library='x')").endswith("there is no library 'x'")
    assert failure(tmp_path, "add_library('x', 'nope')").endswith("the folder nope of the library 'x' does not exist")


def test_a_library_that_contains_a_package_twice(tmp_path):
    put(tmp_path, LIBRARY | {"lib/micropython/a/one/manifest.py": ""})
    twice = "the library contains the package 'one' twice: lib/micropython/a/one and lib/micropython/net/one"
    assert (
        failure(tmp_path, "require('one')", variables={"MPY_LIB_DIR": tmp_path / "lib"}) == f"manifest.py:1:1: {twice}"
    )


def test_metadata_may_be_anywhere_once_in_a_package(tmp_path):
    put(tmp_path, {"a.py": "", "d/manifest.py": "metadata(version='2')", "e/manifest.py": "metadata()"})
    found = evaluated(tmp_path, "module('a.py')\nmetadata(description='x', version='1', stdlib=True)\ninclude('e')")
    assert found.metadata == {"description": "x", "version": "1", "stdlib": True}
    assert evaluated(tmp_path, "module('a.py')").metadata == {}
    assert evaluated(tmp_path, "include('d')").metadata == {"version": "2"}
    again = "metadata() was called before for this package"
    assert failure(tmp_path, "metadata(version='1')\nmetadata(version='1')") == f"manifest.py:2:1: {again}"
    included = f"d/manifest.py:1:1: {again}\n  from manifest.py:2:1"
    assert failure(tmp_path, "metadata(version='1')\ninclude('d')") == included


TREE = {
    "lib/x/manifest.py": "metadata(version='2')\nmodule('x.py')\ninclude('more.py')",
    "lib/x/more.py": "module('more_.py')",
    "lib/x/x.py": "x",
    "lib/x/more_.py": "",
    "plain/manifest.py": "module('plain_.py')",
    "plain/plain_.py": "",
    "p/__init__.py": "",
    "p/a.py": "",
    "p/q/__init__.py": "",
    "p/set.py": "__version__ = 3",
}


def test_every_module_of_a_package_gets_its_version_unless_its_text_sets_one(tmp_path):
    text = "package('p')\nmetadata(version='1')\nrequire('x')\ninclude('plain')"
    found = evaluated(put(tmp_path, TREE), text, libraries={"lib": tmp_path / "lib"})
    assert [(entry.target, entry.version) for entry in found.entries] == [
        ("more_.py", "2"),
        ("p/__init__.py", "1"),
        ("p/a.py", "1"),
        ("p/q/__init__.py", "1"),
        ("p/set.py", None),
        ("plain_.py", "1"),
        ("x.py", "2"),
    ]
    assert read_entry(found.entries[-1]) == b"x\n\n__version__ = '2'\n"
    assert read_entry(found.entries[4]) == b"__version__ = 3"
    frozen = evaluated(tmp_path, "metadata(version='1')\nfreeze_as_str('p')")
    assert {entry.version for entry in frozen.entries} == {None}
