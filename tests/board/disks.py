"""Simulated boards whose filesystem is a real FAT or littlefs, and what is on it according to MicroPython."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from hatch_romfs.sim.relay import Relay
from tests import judges

KINDS = ("fat", "lfs")
BLOCK = 512
_CLASSES = {"fat": "VfsFat", "lfs": "VfsLfs2"}
_DISK = """
import json, os, vfs
class Disk:
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.blocks = self.file.seek(0, 2) // {block}
    def readblocks(self, block, data, offset=0):
        self.file.seek(block * {block} + offset)
        self.file.readinto(data)
    def writeblocks(self, block, data, offset=0):
        self.file.seek(block * {block} + offset)
        self.file.write(data)
    def ioctl(self, op, argument):
        return {{4: self.blocks, 5: {block}}}.get(op, 0)
kind = vfs.{kind}
"""
_READ = """
root = "/disk"
def read(folder, files):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            files[path[len(root) + 1:] + "/"] = None
            read(path, files)
        else:
            with open(path, "rb") as file:
                files[path[len(root) + 1:]] = file.read().hex()
for disk in %s:
    files = {}
    vfs.mount(kind(Disk(disk)), root)
    read(root, files)
    vfs.umount(root)
    print(json.dumps(files))
"""
_WRITE = """
disk = Disk(%s)
kind.mkfs(disk)
vfs.mount(kind(disk), "/disk")
for path, data in %s.items():
    folder = ""
    for name in path.split("/")[:-1]:
        folder += "/" + name
        try:
            os.mkdir("/disk" + folder)
        except OSError:
            pass
    if data is not None:
        with open("/disk/" + path, "wb") as file:
            file.write(bytes.fromhex(data))
vfs.umount("/disk")
"""


@dataclass(frozen=True)
class Disk:
    """A filesystem in a file: ``kind`` is one of KINDS, "" for none."""

    path: Path
    kind: str

    def make(self, files: dict[str, bytes | None], blocks: int = 256) -> None:
        """Make the filesystem with files, and with folders, whose names end with a slash."""
        self.path.write_bytes(b"\xff" * BLOCK * blocks)
        given = {path: None if data is None else data.hex() for path, data in files.items()}
        judges.micropython(_code(self.kind) + _WRITE % (ascii(str(self.path)), ascii(given)))

    def read(self) -> dict[str, bytes | None]:
        """Return its files and folders."""
        return read_disks([self.path], self.kind)[0]

    @property
    def operations(self) -> int:
        """How many writes and erases boards have done."""
        log = Path(f"{self.path}.log")
        return log.stat().st_size if log.exists() else 0


def read_disks(paths: list[Path], kind: str) -> list[dict[str, bytes | None]]:
    """Return the files and folders of several disks."""
    lines = judges.micropython(_code(kind) + _READ % ascii(list(map(str, paths)))).splitlines()
    return [
        {path: None if data is None else bytes.fromhex(data) for path, data in json.loads(line).items()}
        for line in lines
    ]


def _code(kind: str) -> str:
    return _DISK.format(block=BLOCK, kind=_CLASSES[kind])


class DiskRelay(Relay):
    """What keeps a board going until its power fails."""

    board: DiskBoard

    def starts_again(self) -> bool:
        return not self.board.cut or self.board.disk.operations < self.board.cut


class DiskBoard(SimulatedBoard):
    """A board without ROMFS whose filesystem is on a disk.

    The power fails in its operation number ``cut``, or with ``torn`` in the middle of it.
    """

    start_module = "disk_boot"
    folders = (*SimulatedBoard.folders, Path(__file__).parent)

    def __init__(
        self, disk: Disk, *, cut: int = 0, torn: bool = False, mount: str = "/", readonly: bool = False
    ) -> None:
        super().__init__(SimOptions(port="no-romfs"))
        Path(f"{disk.path}.log").write_bytes(b"")
        self.disk, self.cut, self.torn, self.mount, self.readonly = disk, cut, torn, mount, readonly

    def make_relay(self, home: Path, root: Path) -> Relay:
        relay = DiskRelay(lambda raw: self.arguments(home, root, raw=raw), self.environment(), home, self.wire())
        relay.board = self
        return relay

    def config(self, home: Path, root: Path, *, raw: bool) -> dict[str, object]:
        disk = {
            "file": str(self.disk.path),
            "kind": self.disk.kind,
            "block": BLOCK,
            "cut": self.cut,
            "torn": self.torn,
            "mount": self.mount,
            "readonly": self.readonly,
        }
        return super().config(home, root, raw=raw) | {"disk": disk}
