"""The same files as MicroPython's own tools find, if checkouts of it and of its library are available."""

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from romfs_manifest import ManifestError, evaluate, read_entry
from tests import judges
from tests.manifest.support import put

CHECKOUT = Path(os.environ.get("ROMFS_MICROPYTHON_CHECKOUT", ""))
LIBRARY = Path(os.environ.get("ROMFS_MICROPYTHON_LIB", ""))
needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "tools" / "manifestfile.py").is_file(),
    reason="ROMFS_MICROPYTHON_CHECKOUT names no checkout of MicroPython with tools/manifestfile.py",
)
needs_library = pytest.mark.skipif(
    not (LIBRARY / "python-stdlib").is_dir(), reason="ROMFS_MICROPYTHON_LIB names no checkout of micropython-lib"
)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """The original: that of the checkout, else the copy that the package micropython-stubber carries."""
    path = CHECKOUT / "tools" / "manifestfile.py"
    if not path.is_file():
        folder = tmp_path_factory.mktemp("stubber")
        install = [judges.command("uv"), "pip", "install", "--quiet", "--no-deps", "--target", folder]
        if subprocess.run([*install, "micropython-stubber==1.29.1"], check=False).returncode:
            judges.missing("micropython-stubber, which carries a copy of manifestfile.py,")
        path = folder / "stubber" / "tools" / "manifestfile.py"
    spec = importlib.util.spec_from_file_location("manifestfile", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(upstream: Any, path: Path, variables: dict[str, str], mode: str = "MODE_FREEZE") -> Any:
    """Return upstream's files as (target, source, kind, opt, version that is appended), or its error."""
    manifest, before = upstream.ManifestFile(getattr(upstream, mode), variables), Path.cwd()
    kinds = {upstream.KIND_FREEZE_AS_MPY: "mpy", upstream.KIND_FREEZE_AS_STR: "str", upstream.KIND_FREEZE_MPY: "copy"}
    try:
        manifest.execute(str(path))
    except (upstream.ManifestFileError, OSError, ValueError, TypeError) as error:
        return str(error)
    finally:
        os.chdir(before)
    found = set()
    for one in manifest.files():
        kind = kinds.get(one.kind, "mpy")
        opt = one.opt if kind == "mpy" else None  # of what is not compiled it means nothing
        version = one.metadata.version if kind == "mpy" else None
        if version and "__version__ =" in Path(one.full_path).read_text():
            version = None
        found.add((Path(one.target_path).as_posix(), os.path.realpath(one.full_path), kind, opt, version or None))
    return found


def ours(path: Path, variables: dict[str, str]) -> Any:
    try:
        found = evaluate(path, variables=variables)
    except ManifestError as error:
        return str(error)
    return {(one.target, os.path.realpath(one.source), one.kind, one.opt, one.version) for one in found.entries}


TREE: dict[str, str | bytes] = {
    "src/a.py": "a",
    "src/b.py": "b",
    "src/p/__init__.py": "",
    "src/p/c.py": "__version__ = 7",
    "src/p/d/e.py": "",
    "src/p/d/note.txt": "",
    "src/m/f.mpy": b"M\x06\x00\x1f",
    "port/g.py": "",
    "port/q/h.py": "",
    "inc/manifest.py": "metadata()\nmodule('i.py')\nfreeze('$(PORT_DIR)', 'g.py')\ninclude('../manifest.py')",
    "inc/i.py": "",
    "lib/python-stdlib/x/one/manifest.py": "metadata(version='2')\nmodule('one.py', opt=3)\nrequire('two')",
    "lib/python-stdlib/x/one/one.py": "",
    "lib/micropython/two/manifest.py": "package('two')\nmetadata(version='3')\nrequire('one')",
    "opts/manifest.py": (
        "options.defaults(level=1, names=['a.py'], more=False)\n"
        "if options.more:\n  freeze('../port', opt=options.level)\n"
        "for name in options.names:\n  freeze('../src', name, opt=options.level)\n"
        "if options.nothing: module('nope.py')\n"
    ),
    "lib/micropython/two/two/__init__.py": "",
    "more/three/manifest.py": "module('three.py')",
    "more/three/three.py": "",
}
CALLS = """
module('a.py', 'src'{opt})
module('p/c.py', base_path='src'{opt})
module('g.py', '$(PORT_DIR)'{opt})
module('nope.py'{opt})
package('p', base_path='src'{opt})
package('p', ('c.py', 'd/e.py'), base_path='src'{opt})
package('p/d', base_path='$(PORT_DIR)/../src'{opt})
package('p', ['nope.py'], 'src'{opt})
freeze('src'{opt})
freeze('src', 'a.py'{opt})
freeze('src/p', ['c.py', 'd/e.py']{opt})
freeze('$(PORT_DIR)'{opt})
freeze('nope'{opt})
freeze('src/p/', ('nope.py',){opt})
freeze_as_mpy('src'{opt})
freeze_as_mpy('src', 'p/c.py'{opt})
freeze_mpy('src/m')
freeze_mpy('src', 'm/f.mpy')
freeze_as_str('port')
freeze_as_str('src/p')
include('inc')
include(['inc', 'inc/manifest.py'])
include('nope')
require('one')
require('two', x=1)
require('three')
require('three', library='more')
require('two', library='micropython')
add_library('more', 'more')
add_library('more', 'more', prepend=True)
"""
opts = st.sampled_from(["", ", opt=0", ", opt=3", ", opt=None", ", opt=1 + 1", ", opt=LEVEL"])
calls = st.tuples(st.sampled_from(CALLS.strip().split("\n")), opts).map(lambda parts: parts[0].format(opt=parts[1]))
SIMPLE = """
pass
'''A note, on
two lines.'''
metadata()
metadata(version='1.5')
metadata(license='MIT')
SRC = 'src'
SRC = 'port'
A = B = 'a' + '.py'
P, (C, D) = 'p', ['c', 'd']
NAMES = ['a.py', 'b.py']
NAMES = NAMES + [f'{P}/{C}.py']
LEVEL = -1 + 3
freeze(SRC)
freeze(f'{SRC}', A)
freeze('s' + 'rc', NAMES)
freeze('src', ('a.py',) + tuple_of)
package(P, base_path=f"{'src'}")
module(f'{P}/{C!s}.py', base_path='src', opt=LEVEL)
include('opts')
include('opts', level=LEVEL, more=True)
include('opts', names=NAMES + ['p/c.py'], nothing='')
include('opts', names=[], more=[0])
options.defaults(x=1)
"""
statements = calls | st.sampled_from(SIMPLE.strip().replace("\ntwo", " two").split("\n"))
HEADS = """
for NAME in NAMES:
for SRC in ['src', 'port']:
for P, C in (('p', 'c'), ['p/d', 'e']):
for LEVEL in []:
if 0:
if '':
if NAMES:
if options.x:
if not_known:
"""
HANDLERS = ["except OSError:", "except:", "except Exception as error:", "except (OSError, FileNotFoundError):"]


def indented(lines):
    return "\n".join(f"  {line}" for line in "\n".join(lines).split("\n"))


def blocks(inner):
    body = st.lists(inner, min_size=1, max_size=3).map(indented)
    simple = st.tuples(st.sampled_from(HEADS.strip().split("\n")), body).map("\n".join)
    with_else = st.tuples(simple, body).map("\nelse:\n".join)
    trying = st.tuples(body, st.sampled_from(HANDLERS), body).map(lambda parts: "try:\n{}\n{}\n{}".format(*parts))
    finally_ = st.tuples(trying, body).map("\nfinally:\n".join)
    return simple | with_else | trying | st.tuples(trying, body).map("\nelse:\n".join) | finally_


programs = st.lists(st.recursive(statements, blocks, max_leaves=6), max_size=6).map("\n".join)
HEADER = "NAME, NAMES, SRC, P, C, A, LEVEL, tuple_of = 'a.py', ['a.py'], 'src', 'p', 'c', 'b.py', 2, ('b.py',)\n"
judged = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


def compare(upstream, root, text):
    """Check that both tools find the same files, or that both fail."""
    if not (root / "src").exists():
        put(root, TREE)
    put(root, {"manifest.py": text})
    variables = {"MPY_LIB_DIR": str(root / "lib"), "PORT_DIR": str(root / "port")}
    expected, found = theirs(upstream, root / "manifest.py", variables), ours(root / "manifest.py", variables)
    if "try:" in text and isinstance(expected, str) and not isinstance(found, str):
        return  # there, a handler for OSError does not catch every missing file
    if "try:" in text and any(reason in str(found) for reason in ("metadata() was called before", "has no value")):
        return  # there, a handler can catch that, too
    if isinstance(expected, str) or isinstance(found, str):
        assert type(expected) is type(found), (expected, found)
        return
    # Where one file is named twice, upstream has it twice, and here the first call applies.
    assert {one[:2] for one in found} == {one[:2] for one in expected}
    assert found <= expected


@given(st.lists(calls, max_size=6).map("\n".join))
@judged
def test_generated_calls(upstream, tmp_path, text):
    compare(upstream, tmp_path, text.replace("LEVEL", "2"))


@given(programs.map(HEADER.__add__))
@judged
def test_generated_manifests_with_every_construct(upstream, tmp_path, text):
    compare(upstream, tmp_path, text)


def test_generated_manifests_reach_more_than_errors(upstream, tmp_path):
    """Every statement above is evaluated by both tools, and most name files."""
    put(tmp_path, TREE)
    for statement in SIMPLE.strip().replace("\ntwo", " two").split("\n"):
        path = put(tmp_path, {"manifest.py": HEADER + statement}) / "manifest.py"
        assert isinstance(ours(path, {}), set), statement
        assert ours(path, {}) == theirs(upstream, path, {}), statement


def manifests(root: Path) -> list[Path]:
    return sorted(root.absolute().rglob("manifest*.py"))


@needs_checkout
def test_every_manifest_of_the_checkout(upstream):
    """The same files, or an error from both."""
    root, differing = CHECKOUT.absolute(), []
    library = LIBRARY if LIBRARY.name else root / "lib" / "micropython-lib"
    for path in manifests(root):
        if path.name == "manifestfile.py":
            continue
        variables = {"MPY_DIR": str(root), "BOARD_DIR": str(path.parent), "MPY_LIB_DIR": str(library.absolute())}
        first, second = path.relative_to(root).parts[:2]
        if first == "ports":
            variables["PORT_DIR"] = str(root / first / second)
        expected, found = theirs(upstream, path, variables), ours(path, variables)
        if found != expected if isinstance(expected, set) else isinstance(found, set):
            differing.append((path, expected, found))
    assert not differing


@needs_checkout
@needs_library
@pytest.mark.parametrize("library", ["micropython", "python-stdlib", "python-ecosys"])
def test_packages_have_the_same_bytes_as_in_their_index(upstream, library):
    variables = {"MPY_LIB_DIR": str(LIBRARY.absolute())}
    compared = 0
    for path in manifests(LIBRARY / library):
        manifest, listed = upstream.ManifestFile(upstream.MODE_COMPILE, variables), {}
        manifest.execute(str(path))
        for one in manifest.files():
            with upstream.tagged_py_file(one.full_path, one.metadata) as tagged:
                listed[one.target_path] = Path(tagged).read_bytes()
        found = evaluate(path, variables=variables).entries
        assert [entry.target for entry in found] == sorted(listed), path
        for entry in found:
            # Upstream reads files as text, whose line endings are all the same to it.
            assert read_entry(entry).replace(b"\r\n", b"\n") == listed[entry.target], entry.target
            compared += 1
    assert compared > 5
