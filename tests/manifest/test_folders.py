"""Where files may come from and go to: targets, links, names, two files for one place, and versions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from romfs_manifest import ManifestError, evaluate, read_entry
from romfs_manifest.files import MAX_FILE
from romfs_manifest.manifest import entries as entries_module
from romfs_manifest.manifest import folders as folders_module
from tests.manifest.support import evaluated, failure, linked, linux, put, shown, targets

BAD = [
    "../a.py",
    "d/../a.py",
    "/a.py",
    "C:/a.py",
    "C:a.py",
    "d\\a.py",
    "d//a.py",
    "./a.py",
    "a.py\n",
    "\ud800.py",
    "x" * 260,
]


@pytest.mark.parametrize("target", BAD)
@pytest.mark.parametrize(
    "call",
    [
        "module({})",
        "freeze('r', {})",
        "freeze('r', ['a.py', {}])",
        "package('', [{}], 'r')",
        "package('d', [{}], 'r')",
        "package({}, ['a.py'])",
    ],
)
def test_targets_that_lead_elsewhere(tmp_path, call, target):
    put(tmp_path, {"a.py": "", "r/a.py": "", "r/d/a.py": ""})
    problem = failure(tmp_path, call.format(ascii(target)))
    assert " must " in problem
    assert problem.startswith("manifest.py:1:1: '")


@linked
def test_links_that_lead_out(tmp_path):
    put(tmp_path, {"out/a.py": "", "r/p/b.py": ""})
    (tmp_path / "r" / "a.py").symlink_to("../out/a.py")
    (tmp_path / "r" / "q").symlink_to("../out")
    (tmp_path / "r" / "p" / "c.txt").symlink_to("../../out/a.py")
    assert targets(evaluated(tmp_path, "package('p', base_path='r')")) == ["p/b.py"]
    for call in (
        "freeze('r')",
        "freeze('r', 'a.py')",
        "module('a.py', 'r')",
        "freeze('r', 'q')",
        "package('q', ['a.py'], 'r')",
    ):
        assert "is a link that leads out of" in failure(tmp_path, call)
    # A folder that is named as the first one is a root, wherever it is.
    assert targets(evaluated(tmp_path, "freeze('r/q')")) == ["a.py"]


@linked
def test_links_may_lead_into_folders_that_the_user_named(tmp_path):
    put(tmp_path, {"out/a.py": "", "r/p/b.py": ""})
    (tmp_path / "r" / "q").symlink_to("../out")
    out, expected = tmp_path / "out", ["p/b.py", "q/a.py"]
    assert "is a link that leads out of" in failure(tmp_path, "freeze('r')")
    assert "is a link that leads out of" in failure(tmp_path, "freeze('r')", variables={"X": tmp_path / "r"})
    assert "is a link that leads out of" in failure(tmp_path, "add_library('x', 'out')\nfreeze('r')")
    assert targets(evaluated(tmp_path, "freeze('r')", variables={"X": out})) == expected
    assert targets(evaluated(tmp_path, "freeze('r')", libraries={"x": out})) == expected
    assert targets(evaluated(tmp_path, "freeze('r')", folders=[out])) == expected
    assert targets(evaluated(tmp_path, "freeze('r')", folders=[tmp_path])) == expected


@linked
def test_links_that_stay_inside(tmp_path):
    put(tmp_path, {"r/p/a.py": "1"})
    (tmp_path / "r" / "p" / "b.py").symlink_to("a.py")
    (tmp_path / "r" / "q").symlink_to("p")
    assert targets(evaluated(tmp_path, "freeze('r')")) == ["p/a.py", "p/b.py", "q/a.py", "q/b.py"]


@linked
def test_loops_of_links(tmp_path):
    put(tmp_path, {"r/p/a.py": "", "r/p/d/x.txt": ""})
    (tmp_path / "r" / "p" / "self").symlink_to(".")
    (tmp_path / "r" / "p" / "d" / "up").symlink_to("../../p")
    (tmp_path / "r" / "p" / "none").symlink_to("none")
    for call in ("package('p', base_path='r')", "freeze('r')", "freeze('r', 'p')"):
        assert targets(evaluated(tmp_path, call)) == ["p/a.py"]
    (tmp_path / "r" / "none.py").symlink_to("none.py")
    assert failure(tmp_path, "freeze('r')").endswith("the file r/none.py does not exist")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_not_waited_for(tmp_path):
    put(tmp_path, {"r/x.txt": ""})
    os.mkfifo(tmp_path / "r" / "a.py")
    assert failure(tmp_path, "freeze('r')").endswith("the file r/a.py does not exist")
    assert failure(tmp_path, "include('r/a.py')").endswith("r/a.py is not a regular file")


@linux
def test_names_that_no_image_can_contain(tmp_path):
    for name in (b"\xff.py", b"a\\b.py", b"a\n.py"):
        folder = tmp_path / str(len(name))
        folder.mkdir(exist_ok=True)
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.touch()
        assert " must " in failure(folder, "freeze('.')")
        path.unlink()


def test_two_files_for_one_place(tmp_path):
    put(tmp_path, {"x/a.py": "1", "y/a.py": "2", "z/a.py": "1", "z/b.mpy": b"M\x06\x00\x1f", "y/b.py": ""})
    put(tmp_path, {"d/manifest.py": "freeze('../x')"})
    assert failure(tmp_path, "include('d')\n\nfreeze('y')") == (
        "manifest.py:3:1: two sources for 'a.py': y/a.py, and x/a.py from d/manifest.py:1"
    )
    assert failure(tmp_path, "freeze('z')\nmodule('b.py', 'y')").startswith("manifest.py:2:1: two sources for 'b.py'")
    same = evaluated(tmp_path, "freeze('x')\nfreeze('z', 'a.py')\nfreeze('x')")
    assert (targets(same), same.warnings) == (["a.py"], ())
    assert same.entries[0].source == tmp_path / "x" / "a.py"
    other = evaluated(tmp_path, "freeze('x')\nfreeze('z', 'a.py', opt=3)")
    assert (other.entries[0].opt, len(other.warnings)) == (None, 1)
    assert shown(tmp_path, other.warnings[0]) == (
        "manifest.py:2:1: 'a.py' was added before, by manifest.py:1; this call changes nothing"
    )
    assert len(evaluated(tmp_path, "freeze('x')\nfreeze_as_str('x')").warnings) == 1


def test_bounds(tmp_path, monkeypatch):
    put(tmp_path, {f"r/{n}.py": "" for n in range(4)})
    monkeypatch.setattr(entries_module, "MAX_ENTRIES", 3)
    assert failure(tmp_path, "freeze('r')").endswith("the manifest names more than 3 files")
    put(tmp_path, {f"s/{n}/x.txt": "" for n in range(4)})
    monkeypatch.setattr(folders_module, "MAX_NAMES", 8)
    assert failure(tmp_path, "freeze('s')").endswith("more than 8 names")
    # What is looked for in vain must end, too.
    assert failure(tmp_path, "freeze('s/1')\n" * 5).startswith("manifest.py:5:1: folders contain more")


@pytest.mark.parametrize("call", ["freeze('{}')", "include('{}')", "add_library('x', '{}')", "module('a.py', '{}')"])
def test_names_that_are_too_long(tmp_path, call):
    assert failure(tmp_path, call.format("x" * 5000)).startswith("manifest.py:1:1: ")
    assert failure(tmp_path, call.format("$(X)"), variables={"X": "x" * 5000}).startswith("manifest.py:1:1: ")


def test_folders_that_are_nested_too_deeply(tmp_path):
    put(tmp_path, {"r/" + "d/" * 140 + "a.py": ""})
    assert "folders are nested too deeply in" in failure(tmp_path, "freeze('r')")


def test_files_that_are_too_large(tmp_path):
    put(tmp_path, {"a.py": "x"})
    (entry,) = evaluated(tmp_path, "module('a.py')").entries
    os.truncate(tmp_path / "a.py", MAX_FILE + 1)
    with pytest.raises(ManifestError, match="more than 33,554,432 bytes"):
        read_entry(entry)
    (tmp_path / "a.py").unlink()
    with pytest.raises(ManifestError, match="cannot read"):
        read_entry(entry)


TAGS = [
    ("", b"\n\n__version__ = '1'\n"),
    ("x = 1\n", b"x = 1\n\n\n__version__ = '1'\n"),
    ("x = 1\r\ny = 2\r\n", b"x = 1\r\ny = 2\r\n\r\n\r\n__version__ = '1'\r\n"),
    ("# \u00e4\rx = 1", "# \u00e4\rx = 1\r\r__version__ = '1'\r".encode()),
    ("print(__version__)", b"print(__version__)\n\n__version__ = '1'\n"),
    ("x = = 1", b"x = = 1\n\n__version__ = '1'\n"),
    ("__version__=2", b"__version__=2\n\n__version__ = '1'\n"),
]


@pytest.mark.parametrize(("text", "expected"), TAGS)
def test_a_version_is_appended(tmp_path, text, expected):
    put(tmp_path, {"a.py": text})
    (entry,) = evaluated(tmp_path, "metadata(version='1')\nmodule('a.py')").entries
    assert read_entry(entry) == expected


@pytest.mark.parametrize(
    "text", ["__version__ = 2", "# __version__ = 2\n", "def f():\n  __version__ = 2", "\ufeff__version__ = 2"]
)
def test_a_version_that_the_text_sets_stays(tmp_path, text):
    put(tmp_path, {"a.py": text})
    (entry,) = evaluated(tmp_path, "metadata(version='1')\nmodule('a.py')").entries
    assert read_entry(entry) == text.encode()


def test_modules_are_not_parsed_for_their_version(tmp_path):
    """CPython 3.10 crashes on such an expression."""
    put(tmp_path, {"a.py": "x = " + "+".join("1" * 120_000)})
    (entry,) = evaluated(tmp_path, "metadata(version='1')\nmodule('a.py')").entries
    assert read_entry(entry).endswith(b"+1\n\n__version__ = '1'\n")


def test_versions_are_written_so_that_they_are_only_text(tmp_path):
    put(tmp_path, {"a.py": ""})
    version = "'\n\"\\ü\ud800"
    (entry,) = evaluated(tmp_path, f"metadata(version={version!r})\nmodule('a.py')").entries
    found: dict[str, object] = {}
    exec(read_entry(entry).decode(), found)  # noqa: S102 - our own text
    assert found["__version__"] == version


def test_modules_need_not_be_utf_8(tmp_path):
    """The compiler decides about that."""
    put(tmp_path, {"a.py": b"# \xff"})
    (entry,) = evaluated(tmp_path, "metadata(version='1')\nmodule('a.py')").entries
    assert read_entry(entry) == b"# \xff\n\n__version__ = '1'\n"


EVALUATE = """
import json, pathlib, sys
from romfs_manifest import evaluate, read_entry
found = evaluate(pathlib.Path(sys.argv[1]))
print(json.dumps([(entry.target, entry.kind, read_entry(entry).hex()) for entry in found.entries]))
"""


def test_order_times_and_locale_do_not_matter(tmp_path):
    names = ["p/b.py", "p/ä.py", "p/a/z.py", "p/a.py", "p/ö/__init__.py", "p/B.py", "é.py"]
    results = set()
    for number, order in enumerate([names, names[::-1]]):
        root = put(tmp_path / str(number), {name: f"# {name}" for name in order})
        put(root, {"manifest.py": "metadata(version='ü')\npackage('p')\nmodule('é.py')"})
        os.utime(root / "é.py", (number, number))
        for locale in ("C", "C.UTF-8"):
            environment = os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
            environment["PYTHONPATH"] = os.pathsep.join(sys.path)
            command = [sys.executable, "-c", EVALUATE, str(root)]
            results.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    (result,) = results
    assert [target for target, _, _ in json.loads(result)] == sorted(names)


def test_the_public_names():
    import romfs_manifest

    for name in romfs_manifest.__all__:
        assert getattr(romfs_manifest, name).__name__ == name
    assert romfs_manifest.evaluate is evaluate
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        romfs_manifest.nope  # noqa: B018


def test_reading_a_small_file_reserves_little_memory(tmp_path):
    import tracemalloc

    put(tmp_path, {"a.py": "x = 1\n"})
    (entry,) = evaluated(tmp_path, "module('a.py')").entries
    tracemalloc.start()
    read_entry(entry)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
