"""Images of given sizes, the boards they go into, and what a partition holds according to the judges."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from hatch_romfs import flash
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.records import MAGIC
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.settings.values import ARCHS
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.faulty import Faults
from tests.trees import tree

FAMILIES = ("rp2", "stm32", "esp8266", "alif")
"""One of each shape that can be written."""
SIZE = 64 << 10
BLOCK = 4096
PART = 30_000
"""Bytes that are erased, or compared, at once in every family of these tests."""


UNITS = {"rp2": 256, "stm32": 32, "esp8266": 32, "alif": 16}
"""Bytes that are written at once on these boards."""
ERASED = b"\xff"
ARMV7EMSP = ARCHS.index("armv7emsp") + 1


def image_bytes(size: int, seed: int = 1) -> bytes:
    """Return an image of ``size`` bytes, which is even; its module ``m`` says which ``seed`` it is from."""
    data = hashlib.shake_128(b"%d" % seed).digest(size)
    module = b"who = %d\n" % seed
    for left_out in range(120 + len(module), 400):
        kept = data[left_out:]
        # Large files would begin where a coarse grid says, and leave no size to choose.
        parts = {f"data{number or ''}.bin": kept[at : at + PART] for number, at in enumerate(range(0, len(kept), PART))}
        root = tree({**(parts or {"data.bin": b""}), "m.py": module})
        image = b"".join(image_chunks(lay_out(root, metadata=Metadata("app", "1.0"))))
        if len(image) == size:
            return image
    raise AssertionError(f"no image has {size} bytes")


def signed_again(image: bytes, at: int, data: bytes) -> bytes:
    """Return an image with a few bytes of its data changed, and a record of what it is that says so."""
    changed = image[:at] + data + image[at + len(data) :]
    start = image.index(b'"sha256":"') + 10
    with RomImage(changed) as opened:
        digest = opened.hash_from(opened._content_offset)
    return changed[:start] + digest.encode() + changed[start + 64 :]


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def make_image(path: Path, size: int, seed: int = 1, *, changed: bytes = b"") -> Path:
    """Write an image of exactly ``size`` bytes; ``changed`` replaces bytes in its middle."""
    data = image_bytes(size, seed)
    return put(path, signed_again(data, size // 2, changed) if changed else data)


def options(family: str, file: Path | None = None, **more: Any) -> SimOptions:
    given: dict[str, Any] = {"size": SIZE} | more
    return SimOptions(file=file, port=family, **given)


def held(board: SimulatedBoard, partition: int = 0) -> bytes:
    """Return all bytes of a partition."""
    size = board.options.size
    return board.file.read_bytes()[partition * size : (partition + 1) * size]


def declared(partition: bytes) -> int | None:
    """Return the size of the image that a partition's header declares; None where no header is valid."""
    if not partition.startswith(MAGIC):
        return None
    length = 0
    for at in range(len(MAGIC), len(partition)):
        length = length << 7 | partition[at] & 0x7F
        if partition[at] < 0x80:
            return at + 1 + length if at + 1 + length <= len(partition) else None
    return None


def is_sound(partition: bytes) -> bool:
    """Ask our strict reader, and the hash that the image carries."""
    size = declared(partition)
    if size is None:
        return False
    try:
        with RomImage(partition[:size]) as image:
            image.check()
    except ImageError:
        return False
    return True


def is_broken(partition: bytes, *images: bytes) -> bool:
    """Say whether a partition has a valid header without holding one of the images whole."""
    return declared(partition) is not None and not any(partition.startswith(image) for image in images)


def assert_never_broken(partitions: Iterable[bytes], images: Iterable[bytes], folder: Path) -> None:
    """Check that each partition is one of the images whole, or has no header at all: with our reader and VfsRom."""
    found = list(partitions)
    whole = [any(one.startswith(image) for image in images) for one in found]
    assert [declared(one) is not None for one in found] == whole
    assert [is_sound(one) for one in found] == whole
    assert vfsrom_mounts(found, folder) == whole


def vfsrom_mounts(partitions: list[bytes], folder: Path) -> list[bool]:
    """Return which of the partitions the real VfsRom mounts."""
    for number, one in enumerate(partitions):
        put(folder / f"judged-{number}", one)
    code = f"""{judges.LIST}
def mounts(path):
 try:vfs.VfsRom(load(path))
 except OSError:return 0
 return 1
print(json.dumps([mounts({str(folder)!a}+'/judged-%d'%n) for n in range({len(partitions)})]))"""
    return [bool(answer) for answer in json.loads(judges.micropython(code, heap=64 << 20))]


def on_board(port: str, code: str) -> str:
    """Run code after a reset, as a board's own programs run, and return what it prints."""
    with session(PortOptions(port)) as found:
        found.restart()
        return found.repl.run(code).strip()


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)


def mpremote(port: str, *arguments: object) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", port, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def flashed(board, folder, image):
    """Flash an image, hold that it is there by the rules and mounted, and return what was done."""
    board.prepare()
    done = flash(put(folder / "image", image), board.port)
    assert held(board).startswith(image)
    assert board.violations == ()
    assert done.mounted is True
    assert done.rewritten == 0
    assert done.size == len(image)
    return done


def touched(board, *kinds):
    """Return which blocks were erased or written."""
    return {
        number
        for one in board.operations
        if one.kind in (kinds or ("erase", "write"))
        for number in range(one.offset // BLOCK, -(-(one.offset + one.length) // BLOCK))
    }


def padded(family, size):
    return -(-size // UNITS[family]) * UNITS[family]


def runs_within(board, seconds):
    """Say whether a program runs on the board before the time is over."""
    deadline = time.monotonic() + seconds
    while not board.relay.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    return board.relay.is_running()


def mpy(version: int = 6, sub_version: int = 3, arch: int = 0) -> bytes:
    return bytes([ord("M"), version, arch << 2 | sub_version, 31]) + bytes(20)


def coded(files: dict[str, bytes]) -> bytes:
    return b"".join(image_chunks(lay_out(tree(files))))


def firmware(arch, *, version=6, sub_version=3):
    return Faults(mpy=version | sub_version << 8 | arch << 10)
