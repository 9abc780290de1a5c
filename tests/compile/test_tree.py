"""A tree of sources becomes the same tree of modules, each as compiled by hand."""

import random
from pathlib import Path

import pytest

from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import BuildError
from hatch_romfs.events import Progress
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.settings.values import ARCHS
from hatch_romfs.tree import Directory, File, MemoryContent, files, walk
from tests.compile.support import NATIVE, REAL, by_hand, compiled, tree_of

MPY = b"M\x06\0\x1f"
"""The start of a ``.mpy`` file that every board loads."""
PACKAGE = {
    "app/__init__.py": b"from app.deep.er import x\n",
    "app/deep/er.py": b"def x(a, b=2):\n    assert a, 'no a'\n    return a + b\n",
    "app/ein ä/ü.py": b"NAME = __name__\n",
    "app/empty.py": b"",
    "-o.py": b"import app\n",
    "with 'quotes\".py": b"from app import deep\n",
}
OPTIONS = [
    (Mpy(), ["-O0"]),
    (Mpy(optimize=1), ["-O1"]),
    (Mpy(optimize=3), ["-O3"]),
    (Mpy("armv7emsp"), ["-O0", "-march=armv7emsp"]),
    (Mpy("xtensawin", emit="native"), ["-O0", "-X", "emit=native", "-march=xtensawin"]),
    (Mpy("armv6m", optimize=2, emit="viper"), ["-O2", "-X", "emit=viper", "-march=armv6m"]),
]


def expected(modules: dict[str, bytes], folder: Path, *arguments: str) -> dict[str, bytes]:
    return {path[:-3] + ".mpy": by_hand(path, data, folder, *arguments) for path, data in modules.items()}


@pytest.mark.parametrize(
    ("mpy", "arguments"), OPTIONS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_each_module_is_compiled_as_by_mpy_cross(tmp_path, mpy, arguments):
    assert compiled(PACKAGE, mpy) == expected(PACKAGE, tmp_path, *arguments)


def test_levels_of_optimisation_differ():
    made = {compiled(PACKAGE, Mpy(optimize=level))["app/deep/er.mpy"] for level in (0, 1, 3)}
    assert len(made) == 3


def test_real_modules_in_a_real_number(tmp_path):
    modules = {f"lib/p{count}/{name}": data for count in range(6) for name, data in REAL.items()}
    assert compiled(modules) == expected(modules, tmp_path)


def test_the_name_inside_is_the_path_in_the_image(tmp_path, scratch):
    for path, data in compiled(PACKAGE).items():
        assert path.encode()[:-4] + b".py" in data
        for host in (tmp_path, scratch, tmp_path.name, "hatch-romfs", "src/"):
            assert str(host).encode() not in data


def test_everything_else_stays_as_it_is():
    tree = tree_of({"a.py": b"x", "b.txt": b"b", "d/c.PY": b"(", "d/e.pyw": b"(", "d/f.mpy": MPY})
    tree.entries["empty.py"] = Directory()
    done = compile_tree(tree, Settings(mpy=Mpy()), cache=None)
    assert [path for path, _ in walk(done)] == ["a.mpy", "b.txt", "d", "d/c.PY", "d/e.pyw", "d/f.mpy", "empty.py"]
    before, after = dict(files(tree)), dict(files(done))
    assert {path: file for path, file in after.items() if path != "a.mpy"} == {
        path: file for path, file in before.items() if path != "a.py"
    }
    assert after["a.mpy"].origin == "src/a.py"
    assert list(tree.entries) == ["a.py", "b.txt", "d", "empty.py"], "the tree that was given is changed"


@pytest.mark.parametrize(
    ("exclude", "kept"),
    [
        (["boot.py"], ["app/boot.py", "boot.py"]),
        (["/boot.py"], ["boot.py"]),
        (["app/"], ["app/a.py", "app/boot.py"]),
        (["*.py", "!a.py"], ["app/boot.py", "boot.py"]),
        ([], []),
    ],
)
def test_what_is_excluded_stays_source(exclude, kept):
    modules = {"boot.py": b"(", "app/boot.py": b"(", "app/a.py": b"("}
    valid = {path: b"x = 1\n" for path in modules if path not in kept}
    made = compiled(modules | valid, Mpy(exclude=tuple(exclude)))
    assert [path for path in made if path.endswith(".py")] == sorted(kept)
    assert all(made[path] == b"(" for path in kept)
    assert len(made) == 3


def test_nothing_to_compile_is_the_same_tree():
    tree = tree_of({"a.txt": b"a", "b.py": b"("})
    assert compile_tree(tree, Settings(mpy=Mpy(exclude=("b.py",))), cache=None) is tree


def test_progress_counts_the_modules_that_are_done():
    events: list[Progress] = []
    tree = tree_of({f"{name}.py": b"x = 1\n" for name in "abcde"})
    compile_tree(tree, Settings(mpy=Mpy()), cache=None, on_progress=events.append)
    assert events == [Progress("compiling", count, 5, "modules") for count in range(1, 6)]


@pytest.mark.parametrize("mpy", [Mpy(), Mpy(exclude=("x.py",))])
def test_a_source_and_a_module_for_one_target(mpy):
    tree = tree_of({"d/x.py": b"x = 1\n", "y.py": b"", "z.py": b""})
    inner = tree.entries["d"]
    assert isinstance(inner, Directory)
    inner.entries["x.mpy"] = File(MemoryContent(MPY), "vendor/x.mpy")
    tree.entries["y.mpy"] = Directory({"a": File(MemoryContent(b""), "web/a")})
    with pytest.raises(BuildError) as caught:
        compile_tree(tree, Settings(mpy=mpy), cache=None)
    *lines, hint = str(caught.value).splitlines()
    assert hint == "Exclude one of the two, or list the .py in tool.romfs.mpy.exclude."
    first = [] if mpy.exclude else ["two sources for 'd/x.mpy' in the image: src/d/x.py, compiled, and "]
    starts = [*first, "two sources for 'y.mpy' in the image: src/y.py, compiled, and "]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_both_sources_for_one_target_are_named():
    tree = tree_of({"x.py": b"x = 1\n"})
    tree.entries["x.mpy"] = File(MemoryContent(MPY), "vendor/x.mpy")
    with pytest.raises(BuildError, match=r"src/x\.py") as caught:
        compile_tree(tree, Settings(mpy=Mpy()), cache=None)
    assert "vendor/x.mpy" in str(caught.value)


def test_large_tables_compile(tmp_path):
    numbers = random.Random(1)
    table = b"TABLE = (" + b", ".join(b"%d" % numbers.getrandbits(30) for _ in range(100_000)) + b")\n"
    assert len(table) > 1 << 20
    assert compiled({"table.py": table}) == expected({"table.py": table}, tmp_path, "-X", f"heapsize={64 << 20}")


@pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch != "rv64imc"])
def test_native_code_for_every_architecture(tmp_path, arch):
    made = compiled({"a.py": NATIVE}, Mpy(arch))
    assert made == expected({"a.py": NATIVE}, tmp_path, f"-march={arch}")


def test_a_byte_order_mark_and_no_last_newline(tmp_path):
    modules = {"a.py": b"\xef\xbb\xbfx = 1", "b.py": b"x = 1\r\ny = 2\r\n"}
    assert compiled(modules) == expected(modules | {"a.py": b"x = 1"}, tmp_path)
