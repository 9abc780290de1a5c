"""Manifests and mip packages in images: evaluated, locked, compiled, and imported by the real MicroPython."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile

import pytest

from hatch_romfs import BuildError, build, open_image
from hatch_romfs.collect.sdist import complete_sdist
from hatch_romfs.settings.project import load, read_project
from romfs_manifest import make_lock, read_lock, user_cache, write_lock
from tests import judges
from tests.commands import romfs_image
from tests.compile.support import by_hand
from tests.projects import make_project


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return what makes a project of files and a table; the caches are new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))

    def make(table, files):
        root = make_project(tmp_path / "project", {"src/main_app.py": "x = 1\n", **files})
        make_project(root, {"pyproject.toml": f'[project]\nname = "app"\nversion = "1"\n[tool.romfs]\n{table}'})
        return root

    return make


def paths(built):
    entries = json.loads(romfs_image("tree", built.path, "--json").stdout)["entries"]
    return [entry["path"] for entry in entries if entry["type"] == "file"]


EVERYTHING = """\
metadata(description="All of it", version="2.0")
include("more")
add_library("mine", "$(LIBS)/mine")
require("helper")
require("tool", library="mine")
package("pack", base_path="code", opt=3)
module("single.py", base_path="code")
freeze("frozen", "inner")
freeze_as_str("texts")
freeze_mpy("ready")
c_module("$(LIBS)/c")
"""
FILES = {
    "manifest.py": EVERYTHING,
    "more/manifest.py": 'module("included.py")\n',
    "more/included.py": "here = 'included'\n",
    "libs/micropython/helper/manifest.py": 'metadata(version="1.5")\nmodule("helper.py")\n',
    "libs/micropython/helper/helper.py": "def help():\n    return 42\n",
    "libs/mine/x/tool/manifest.py": 'package("tool")\n',
    "libs/mine/x/tool/tool/__init__.py": "name = 'tool'\n",
    "code/pack/__init__.py": "from pack.sub import value\n",
    "code/pack/sub.py": "value = 7\nassert value != 7, 'compiled without asserts'\n",
    "code/single.py": "one = 1\n",
    "frozen/inner/deep.py": "deep = True\n",
    "texts/text.py": "text = 'kept'\n",
}
TABLE = 'manifest = { path = "manifest.py", variables = { LIBS = "libs", MPY_LIB_DIR = "libs" } }\n'


@pytest.fixture
def everything(make, tmp_path):
    ready = by_hand("ready.py", b"ready = 'compiled before'\n", tmp_path)
    return make(TABLE, {**FILES, "ready/ready.mpy": ready})


def test_a_manifest_with_every_function(everything):
    built = build(everything)
    assert paths(built) == [
        "helper.mpy", "included.mpy", "inner/deep.mpy", "main_app.mpy", "pack/__init__.mpy", "pack/sub.mpy",
        "ready.mpy", "single.mpy", "text.py", "tool/__init__.mpy",
    ]  # fmt: skip
    (warning,) = built.warnings
    assert "manifest.py:11" in warning
    code = (
        "import helper, included, inner.deep, pack, ready, single, text, tool\n"
        "print(helper.help(), helper.__version__, included.here, inner.deep.deep, pack.value, ready.ready, single.one,"
        " text.text, tool.name)"
    )
    said = romfs_image("run", built.path, "-c", code).stdout
    assert said == "42 1.5 included True 7 compiled before 1 kept tool\n"


def test_levels_reach_the_compiler(everything, tmp_path):
    sub = FILES["code/pack/sub.py"].encode() + b"\n\n__version__ = '2.0'\n"
    with open_image(build(everything).path) as image:
        assert image.file("pack/sub.mpy").read() == by_hand("pack/sub.py", sub, tmp_path, "-O3")
        single = by_hand("single.py", b"one = 1\n\n\n__version__ = '2.0'\n", tmp_path, "-O0")
        assert image.file("single.mpy").read() == single
    with open_image(build(everything).path) as image:  # from the cache
        assert image.file("pack/sub.mpy").read() == by_hand("pack/sub.py", sub, tmp_path, "-O3")


def test_what_the_firmware_has_is_left_out(make):
    root = make(
        'manifest = { path = "manifest.py", provided = ["board/manifest.py"] }\n',
        {
            "manifest.py": 'module("a.py")\nmodule("b.py")\n',
            "a.py": "",
            "b.py": "",
            "board/manifest.py": 'module("a.py")\n',
            "board/a.py": "frozen = 1\n",
        },
    )
    assert paths(build(root)) == ["b.mpy", "main_app.mpy"]


def test_the_same_bytes_from_anywhere(everything, tmp_path, monkeypatch):
    first = build(everything).sha256
    shutil.copytree(everything, tmp_path / "other place")
    monkeypatch.chdir(tmp_path)
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", "import hatch_romfs; print(hatch_romfs.build('other place').sha256)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("import os\nos.system('touch PWN')\n", "manifest.py:1:1: "),
        ('package("nope")\n', "manifest.py:1:1: "),
        ('module("../a.py")\n', "manifest.py:1:1: "),
        ('module("main_app.py")\n', "two sources for 'main_app.py' in the image"),
    ],
)
def test_manifests_that_are_wrong_fail_the_build(manifest, message, make, capfd):
    root = make('manifest = "manifest.py"\n', {"manifest.py": manifest, "main_app.py": "", "../a.py": ""})
    with pytest.raises(BuildError) as caught:
        build(root)
    assert message in caught.value.message
    assert caught.value.hint
    assert not list(root.rglob("PWN"))
    assert not (root / "dist").exists()


# mip packages


@pytest.fixture
def locked(make, index):
    """A project with two packages, locked and in the cache; its index is gone."""
    index.add("base", version="1.1", files={"base.py": b"from micropython import const\nvalue = 5\n"})
    index.add("top", files={"top/__init__.py": b"import base\ndouble = 2 * base.value\n"}, deps=[["base", "latest"]])
    root = make('dependencies = ["top"]\n', {})
    write_lock(root / "romfs.lock", make_lock(["top"], index=index.url, cache=user_cache()))
    index.close()
    return root


def test_packages_are_built_without_a_network(locked):
    built = build(locked)
    assert paths(built) == ["lib/base.mpy", "lib/top/__init__.mpy", "main_app.mpy"]
    code = "import sys; sys.path.insert(0, '/rom/lib'); import top; print(top.double)"
    assert romfs_image("run", built.path, "-c", code).stdout == "10\n"


def test_the_inventory_names_the_lock_and_levels(locked):
    text = (locked / "pyproject.toml").read_text()
    (locked / "pyproject.toml").write_text(f"{text}inventory = true\n")
    built = build(locked)
    document = json.loads(built.inventory.read_text())
    assert document["lock_sha256"] == hashlib.sha256((locked / "romfs.lock").read_bytes()).hexdigest()
    sources = {entry["path"]: entry["source"] for entry in document["files"]}
    assert sources == {"lib/base.mpy": None, "lib/top/__init__.mpy": None, "main_app.mpy": "src/main_app.py"}
    romfs_image("verify", built.path, "--inventory", built.inventory)


def test_the_inventory_says_how_a_manifest_has_files_compiled(everything):
    text = (everything / "pyproject.toml").read_text()
    (everything / "pyproject.toml").write_text(text.replace("[tool.romfs]\n", "[tool.romfs]\ninventory = true\n"))
    entries = {entry["path"]: entry for entry in json.loads(build(everything).inventory.read_text())["files"]}
    assert entries["pack/sub.mpy"]["compiled"] == {"arch": None, "optimize": 3, "emit": "bytecode"}
    assert entries["pack/sub.mpy"]["source"] == "code/pack/sub.py"
    assert entries["single.mpy"]["compiled"]["optimize"] == 0
    assert (entries["text.py"]["compiled"], entries["ready.mpy"]["compiled"]) == (None, None)


def test_a_stale_lock_fails_the_build(locked):
    text = (locked / "pyproject.toml").read_text().replace('["top"]', '["top", "new"]')
    (locked / "pyproject.toml").write_text(text)
    with pytest.raises(BuildError, match="new is a dependency, but is not in the lock") as caught:
        build(locked)
    assert caught.value.hint == "Run 'romfs-manifest lock'."
    (locked / "romfs.lock").unlink()
    with pytest.raises(BuildError, match="romfs.lock does not exist"):
        build(locked)


def test_what_was_tampered_with_fails_the_build(locked):
    before = build(locked).path.read_bytes()
    lock = read_lock(locked / "romfs.lock")
    for package in lock.packages:
        for file in package.files:
            (entry,) = user_cache().rglob(file.sha256)
            good = entry.read_bytes()
            entry.write_bytes(bytes([good[0] ^ 1]) + good[1:])
            with pytest.raises(BuildError, match=package.name):
                build(locked)  # a bad entry is as good as missing, and there is no index any more
            entry.write_bytes(good)
    assert (locked / "dist/app.romfs").read_bytes() == before


@pytest.mark.parametrize(("arch", "taken"), [("x64", True), ("armv6m", False), (None, False)])
def test_native_code_from_an_index_must_be_for_the_board(arch, taken, make, index, tmp_path):
    source = b"import micropython\n@micropython.native\ndef f():\n    return 1\n"
    code = by_hand("fast.py", source, tmp_path, "-march=x64")
    index.add("fast", files={"fast.mpy": code})
    mpy = f'mpy = {{ arch = "{arch}" }}\n' if arch else ""
    root = make(f'dependencies = ["fast"]\n{mpy}', {})
    write_lock(root / "romfs.lock", make_lock(["fast"], index=index.url, cache=user_cache()))
    if taken:
        with open_image(build(root).path) as image:
            assert image.file("lib/fast.mpy").read() == code
        return
    with pytest.raises(BuildError, match=f"lib/fast.mpy, fast 1.0 of .* is x64 code, and .* is {arch or 'not set'}"):
        build(root)


def test_modules_of_another_format_from_an_index(make, index, tmp_path):
    index.add("old", files={"old.mpy": b"M\x05" + by_hand("old.py", b"x = 1\n", tmp_path)[2:]})
    root = make('dependencies = ["old"]\n', {})
    write_lock(root / "romfs.lock", make_lock(["old"], index=index.url, cache=user_cache()))
    with pytest.raises(BuildError, match="lib/old.mpy, old 1.0 of romfs.lock, is .mpy version 5; boards load 6"):
        build(root)


def test_the_command_writes_the_lock_that_the_build_reads(make, index):
    index.add("thing")
    root = make('dependencies = ["thing"]\n', {})
    command = judges.command("romfs-manifest")
    subprocess.run([command, "lock", root, "--index", index.url], check=True, capture_output=True)
    subprocess.run([command, "check", root], check=True, capture_output=True)
    assert paths(build(root)) == ["lib/thing.mpy", "main_app.mpy"]


def test_a_module_that_arrives_twice_is_reported_once_by_name(make, index):
    files = {"aiohttp/__init__.py": b"a = 1\n", "aiohttp/more.py": b"", "once.py": b"", "page/index.html": b"<p>"}
    index.add("aiohttp", files={**files, "frozen.py": b""})
    manifest = {
        "manifest.py": "package('aiohttp')\nmodule('page.py')\nmodule('board.py')\n",
        "page.py": "",
        "board.py": "",
    }
    board = {
        "board/manifest.py": "module('frozen.py')\nmodule('board.py')\n",
        "board/frozen.py": "",
        "board/board.py": "",
    }
    root = make(
        'dependencies = ["aiohttp"]\nmanifest = { path = "manifest.py", provided = ["board/manifest.py"] }\n',
        {**manifest, **board, "aiohttp/__init__.py": "a = 2\n", "aiohttp/more.py": ""},
    )
    write_lock(root / "romfs.lock", make_lock(["aiohttp"], index=index.url, cache=user_cache()))
    assert build(root).warnings == (
        "the module 'aiohttp' in /aiohttp hides the one in /lib/aiohttp: remove one of them",
        "the module 'frozen' in the firmware hides the one in /lib/frozen.py: remove one of them",
    )


def test_the_first_of_two_modules_is_the_one_that_a_board_imports(make, index):
    index.add("twice", files={"twice.py": b"where = 'lib'\n"})
    root = make('dependencies = ["twice"]\n', {"src/twice.py": "where = 'root'\n"})
    write_lock(root / "romfs.lock", make_lock(["twice"], index=index.url, cache=user_cache()))
    built = build(root)
    assert built.warnings == ("the module 'twice' in /twice.py hides the one in /lib/twice.py: remove one of them",)
    assert romfs_image("run", built.path, "-c", "import twice; print(twice.where)").stdout == "root\n"


def test_a_build_contacts_an_index_with_plain_http_only_if_it_is_named(make, index, monkeypatch):
    monkeypatch.delenv("ROMFS_INDEX", raising=False)
    index.add("a")
    root = make('dependencies = ["a"]\n', {})
    write_lock(root / "romfs.lock", make_lock(["a"], index=index.url, cache=root / "elsewhere"))
    index.requests.clear()
    with pytest.raises(BuildError, match="the lock was made from http://") as caught:
        build(root)
    assert "ROMFS_INDEX" in str(caught.value.hint)
    assert index.requests == []
    monkeypatch.setenv("ROMFS_INDEX", index.url)
    assert paths(build(root)) == ["lib/a.mpy", "main_app.mpy"]
    assert len(index.requests) == 1


def test_a_package_in_the_project_is_built_and_a_change_is_noticed(make):
    listing = {"v": 1, "version": "1", "urls": [["local/__init__.py", "src/code.py"]]}
    root = make('dependencies = ["./vendor/local"]\n', {})
    make_project(root, {"vendor/local/package.json": json.dumps(listing), "vendor/local/src/code.py": "x = 1\n"})
    subprocess.run([judges.command("romfs-manifest"), "lock", root], check=True, capture_output=True)
    assert paths(build(root)) == ["lib/local/__init__.mpy", "main_app.mpy"]
    make_project(root, {"vendor/local/src/code.py": "x = 2\n"})
    with pytest.raises(BuildError, match="file:vendor/local: .* the bytes differ from those that were locked"):
        build(root)


@pytest.mark.parametrize("index_kind", ["network", "mirror"])
def test_an_sdist_contains_packages_of_the_project_and_its_mirror(index_kind, make, index, tmp_path):
    index.add("remote")
    table = 'dependencies = ["./vendor/local", "remote"]\n'
    root = make(table, {"vendor/local/package.json": json.dumps({"urls": [["local.py", "src/local.py"]]})})
    make_project(root, {"vendor/local/src/local.py": "x = 1\n"})
    command = judges.command("romfs-manifest")
    subprocess.run([command, "lock", root, "--index", index.url], check=True, capture_output=True)
    if index_kind == "mirror":
        subprocess.run([command, "mirror", root / "mirror", root], check=True, capture_output=True)
        subprocess.run([command, "lock", root, "--index", "file:mirror"], check=True, capture_output=True)
    project = read_project(root, load(root))
    archive = tmp_path / "app-1.tar.gz"
    with tarfile.open(archive, "w:gz") as sdist:
        sdist.add(root / "pyproject.toml", "app-1/pyproject.toml")
    complete_sdist(archive, project)
    with tarfile.open(archive) as sdist:
        names = sdist.getnames()
    assert {"app-1/romfs.lock", "app-1/vendor/local/src/local.py"} <= set(names)
    assert any(name.startswith("app-1/mirror/file/") for name in names) == (index_kind == "mirror")
