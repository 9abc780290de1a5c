# mypy: ignore-errors
"""The board's side of a simulated board with a real FAT or littlefs on a disk: MicroPython runs this.

The disk is a file that is changed at once, and may lose its power in a write.
"""

import os

import sim_boot
import sim_flash
import vfs

EINVAL = 22
_COUNT, _SIZE, _ERASE = 4, 5, 6


class Disk:
    """A block device in a file.

    The power fails right after its write or erase number ``cut``, from 1, or with ``torn`` in the middle of it.
    """

    def __init__(self, config):
        self.block, self.cut, self.torn = config["block"], config["cut"], config["torn"]
        self.file = sim_boot.host.open(config["file"], "r+b")
        self.blocks = self.file.seek(0, 2) // self.block
        self.log = sim_boot.host.open(config["file"] + ".log", "a+b")
        self.count = self.log.seek(0, 2)

    def readblocks(self, block, data, offset=0):
        self.file.seek(block * self.block + offset)
        self.file.readinto(data)

    def writeblocks(self, block, data, offset=0):
        self.put(block * self.block + offset, data)

    def ioctl(self, op, block):
        if op == _ERASE:
            self.put(block * self.block, b"\xff" * self.block)
        return {_COUNT: self.blocks, _SIZE: self.block}.get(op, 0)

    def put(self, at, data):
        self.count += 1
        self.log.write(b".")
        self.file.seek(at)
        is_last = self.count == self.cut
        self.file.write(memoryview(data)[: len(data) // 2 if is_last and self.torn else len(data)])
        if is_last:
            os.system("kill -9 $PPID")  # noqa: S605 - the shell's parent is this MicroPython
            while True:
                pass


def start(config):
    """Make this MicroPython the board of ``config``, with its disk mounted."""
    disk = config["disk"]
    sim_boot.make_board(config, sim_flash.Flash)
    vfs.umount("/")
    if disk["kind"]:
        make = {"fat": vfs.VfsFat, "lfs": vfs.VfsLfs2}[disk["kind"]]
        vfs.mount(make(Disk(disk)), disk["mount"], readonly=disk["readonly"])
        os.chdir(disk["mount"])
    sim_boot.finish(config)
