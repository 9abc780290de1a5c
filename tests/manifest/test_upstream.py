"""The same files as MicroPython's own tools find, where a checkout of it, and of its library, is at hand."""

import importlib.util
import os
import re
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
    """Return upstream's files as (target, source, kind, opt), or its error."""
    manifest, before = upstream.ManifestFile(getattr(upstream, mode), variables), Path.cwd()
    kinds = {upstream.KIND_FREEZE_AS_MPY: "mpy", upstream.KIND_FREEZE_AS_STR: "str", upstream.KIND_FREEZE_MPY: "copy"}
    try:
        manifest.execute(str(path))
    except (upstream.ManifestFileError, OSError) as error:
        return str(error)
    finally:
        os.chdir(before)
    found = set()
    for one in manifest.files():
        kind = kinds.get(one.kind, "mpy")
        opt = one.opt if kind == "mpy" else None  # of what is not compiled it means nothing
        found.add((Path(one.target_path).as_posix(), os.path.realpath(one.full_path), kind, opt))
    return found


def ours(path: Path, variables: dict[str, str]) -> Any:
    try:
        found = evaluate(path, variables=variables)
    except ManifestError as error:
        return str(error)
    return {(one.target, os.path.realpath(one.source), one.kind, one.opt) for one in found.entries}


TREE: dict[str, str | bytes] = {
    "src/a.py": "a",
    "src/b.py": "b",
    "src/p/__init__.py": "",
    "src/p/c.py": "",
    "src/p/d/e.py": "",
    "src/p/d/note.txt": "",
    "src/m/f.mpy": b"M\x06\x00\x1f",
    "port/g.py": "",
    "port/q/h.py": "",
    "inc/manifest.py": "metadata()\nmodule('i.py')\nfreeze('$(PORT_DIR)', 'g.py')\ninclude('../manifest.py')",
    "inc/i.py": "",
    "lib/python-stdlib/x/one/manifest.py": "metadata(version='2')\nmodule('one.py', opt=3)\nrequire('two')",
    "lib/python-stdlib/x/one/one.py": "",
    "lib/micropython/two/manifest.py": "package('two')\nrequire('one')",
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
opts = st.sampled_from(["", ", opt=0", ", opt=3", ", opt=None"])
calls = st.tuples(st.sampled_from(CALLS.split("\n")), opts).map(lambda parts: parts[0].format(opt=parts[1]))


@given(st.lists(calls, max_size=6).map("\n".join))
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_manifests(upstream, tmp_path, text):
    if not (tmp_path / "src").exists():
        put(tmp_path, TREE)
    put(tmp_path, {"manifest.py": text})
    variables = {"MPY_LIB_DIR": str(tmp_path / "lib"), "PORT_DIR": str(tmp_path / "port")}
    expected, found = theirs(upstream, tmp_path / "manifest.py", variables), ours(tmp_path / "manifest.py", variables)
    if isinstance(expected, str) or isinstance(found, str):
        assert type(expected) is type(found), (expected, found)
        return
    # Where one file is named twice, upstream has it twice, and here the first call holds.
    assert {one[:2] for one in found} == {one[:2] for one in expected}
    assert found <= expected


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
def test_packages_are_as_their_index_lists_them(upstream, library):
    """An index appends the version to every file; here what a package is imported by has it, and no other."""
    variables = {"MPY_LIB_DIR": str(LIBRARY.absolute())}
    for path in manifests(LIBRARY / library):
        manifest, listed = upstream.ManifestFile(upstream.MODE_COMPILE, variables), {}
        manifest.execute(str(path))
        for one in manifest.files():
            with upstream.tagged_py_file(one.full_path, one.metadata) as tagged:
                listed[one.target_path] = Path(tagged).read_bytes()
        found = evaluate(path, variables=variables).entries
        assert [entry.target for entry in found] == sorted(listed), path
        for entry in found:
            data = listed[entry.target]
            if "/" in entry.target and not re.fullmatch("[^/]+/__init__.py", entry.target):
                data = re.sub(rb"\n\n__version__ = '[^'\n]*'\n\Z", b"", data)
            # Upstream reads files as text, whose ends of line are all one to it.
            assert read_entry(entry).replace(b"\r\n", b"\n") == data, entry.target
