"""The board's side of the simulated board: MicroPython runs this before its prompt appears.

``sim.py`` has MicroPython call ``start``; CPython never imports this file. What ``vfs.rom_ioctl`` is on each port,
and how its C code answers, was read off the ports of MicroPython (rp2/rp2_flash.c, each vfs_rom_ioctl.c). Errors are
negative integers, as there.
"""

import gc
import os
import sys

import uctypes
import vfs

EIO, EINVAL = 5, 22
COUNT, SEGMENT, PREPARE, WRITE, _COMPLETE, MIN_PREPARE = range(1, 7)
"""What ``vfs.rom_ioctl`` is asked for."""
BLOCK_COUNT, BLOCK_SIZE, BLOCK_ERASE = 4, 5, 6
"""What a block device's ``ioctl`` is asked for."""
IMPLEMENTATION = ("name", "version", "_machine", "_mpy", "_build", "_thread")
_CHUNK = 1024
_ERASED = b"\xff" * _CHUNK

host = vfs.VfsPosix()
"""The files of the machine, which the board's programs do not see."""

kept = None
"""What must not be collected: the memory that this board shall not have."""


class Flash:
    """One partition under flash rules: in memory, where programs read it, and in its file, after every change."""

    def __init__(self, config, index, file):
        self.config, self.index, self.file = config, index, file
        self.size, self.block, self.unit = config["size"], config["block"], config["unit"]
        self.base = index * self.size
        # Programs get immutable bytes, as a mapped flash is to them; only this class has the writable way in.
        raw = Partition(self.size) if config["access"] == "object" else bytes(self.size)
        self.memory = memoryview(uctypes.bytearray_at(uctypes.addressof(raw), self.size))
        file.seek(self.base)
        file.readinto(self.memory)
        if config["access"] == "object":
            raw.flash = self
        self.handle = raw if config["access"] == "object" else memoryview(raw)

    def erase(self, offset, length):
        """Set whole blocks to 0xff; return 0 or a negative errno."""
        if offset % self.block or length % self.block or not self.holds(offset, length):
            return self.violation("erase", offset, length, "not whole blocks of the partition", EINVAL)
        for at in range(offset, offset + length, _CHUNK):
            self.put(at, memoryview(_ERASED)[: min(_CHUNK, offset + length - at)])
        return 0

    def write(self, offset, data):
        """Clear bits, in whole write units of erased bytes; return 0 or a negative errno."""
        data = memoryview(data)
        if offset % self.unit or len(data) % self.unit or not self.holds(offset, len(data)):
            return self.violation("write", offset, len(data), "not whole write units of the partition", EINVAL)
        if self.config["access"] == "mram" or self.is_erased(offset, len(data)):
            self.put(offset, data)
            return 0
        old = self.memory[offset : offset + len(data)]
        self.put(offset, bytes([was & new for was, new in zip(old, data)]))  # noqa: B905 - not here
        return self.violation("write", offset, len(data), "over bytes that are not erased", EIO)

    def holds(self, offset, length):
        """Tell whether the range lies inside the partition."""
        return offset >= 0 and length >= 0 and offset + length <= self.size

    def is_erased(self, offset, length):
        """Tell whether the range holds nothing but 0xff."""
        for at in range(offset, offset + length, _CHUNK):
            piece = min(_CHUNK, offset + length - at)
            if self.memory[at : at + piece] != memoryview(_ERASED)[:piece]:
                return False
        return True

    def put(self, offset, data):
        """Change bytes, here and in the file: at any moment that file is what the flash would hold."""
        self.memory[offset : offset + len(data)] = data
        self.file.seek(self.base + offset)
        self.file.write(data)

    def violation(self, what, offset, length, why, errno):
        """Note a broken rule, for tests to find, and return the error."""
        with host.open(self.config["file"] + ".violations", "a") as notes:
            notes.write("partition %d: %s %d+%d: %s\n" % (self.index, what, offset, length, why))
        return -errno


class Partition(bytes):
    """A block device whose bytes can be read where they lie: what rp2, esp32, mimxrt, nrf and samd hand out.

    Like theirs it has no length, and a memoryview of it is read-only.
    """

    def ioctl(self, op, block):
        """Count blocks, give their size, erase one; nothing is to do for 1 to 3."""
        flash = self.flash
        if op == BLOCK_ERASE:
            return flash.erase(block * flash.block, flash.block)
        return {1: 0, 2: 0, 3: 0, BLOCK_COUNT: flash.size // flash.block, BLOCK_SIZE: flash.block}.get(op)

    def readblocks(self, block, buf, offset=0):
        """Fill ``buf``."""
        start = block * self.flash.block + offset
        memoryview(buf)[:] = self.flash.memory[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        """Write, after an erase where no offset is given; return None, as rp2 does, or a negative errno."""
        start = block * self.flash.block + (offset or 0)
        return (offset is None and self.flash.erase(start, len(buf))) or self.flash.write(start, buf) or None


class RomIoctl:
    """``vfs.rom_ioctl`` of every port but ``no-romfs``."""

    def __init__(self, access, partitions):
        self.access, self.partitions = access, partitions

    def __call__(self, op, *args):
        """Answer as the port's C code does."""
        if op == COUNT:
            return len(self.partitions)
        if not args or not 0 <= args[0] < len(self.partitions):
            return -EINVAL
        flash = self.partitions[args[0]]
        return flash.handle if op == SEGMENT else self.change(op, flash, args[1:])

    def change(self, op, flash, args):
        """Erase, write, or say what is erased at once."""
        if self.access not in ("object", "read-only"):
            if op == PREPARE and args:
                return self.prepare(flash, *args)
            if op == WRITE and args[1:]:
                return flash.write(*args)
            if op == MIN_PREPARE and self.access != "whole":
                return flash.block
        return -EINVAL  # completing among them: so do most ports

    def prepare(self, flash, first, second=None):
        """Erase, and return the write unit or a negative errno."""
        if self.access == "whole" or second is None:  # a whole one never looks at a fourth argument
            offset, length = 0, -(-first // flash.block) * flash.block
        else:
            offset, length = first, second
        if self.access == "mram":
            return flash.unit if flash.holds(offset, length) else -EINVAL
        return flash.erase(offset, length) or flash.unit


class Vfs:
    """The module ``vfs`` of this board."""


class Sys:
    """The module ``sys`` of this board: MicroPython's own, which says what machine this is."""

    def __getattr__(self, name):
        return getattr(sys, name)

    def __setattr__(self, name, value):
        setattr(sys, name, value)


def start(config):
    """Make this MicroPython the board of ``config`` (see ``SimulatedBoard.config``)."""
    make_board(config, Flash)
    finish(config)


def make_board(config, flash):
    """Give it partitions that are ``flash``, a ``vfs`` and a ``sys`` of its own, a root folder, and what is mounted."""
    access = config["access"]
    file = host.open(config["file"], "r+b")
    partitions = [flash(config, index, file) for index in range(config["partitions"])]
    board = Vfs()
    for name in dir(vfs):
        if not name.startswith("__"):
            setattr(board, name, getattr(vfs, name))
    if access != "no-romfs":
        board.rom_ioctl = RomIoctl(access, partitions)
    Sys.implementation = machine(config["machine"])
    sys.modules["vfs"], sys.modules["sys"] = board, Sys()
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(config["root"]), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen"]
    if partitions:
        mount_rom(partitions[0].handle)


def finish(config):
    """Leave the memory that the board shall have, and say that it is up."""
    leave(config["ram"])
    sys.stdout.write(config["ready"])


def machine(name):
    """Return ``sys.implementation`` with the machine's name in it."""
    from collections import namedtuple

    values = [name if key == "_machine" else getattr(sys.implementation, key, None) for key in IMPLEMENTATION]
    return namedtuple("implementation", IMPLEMENTATION)(*values)  # noqa: PYI024 - what there is


def mount_rom(memory):
    """Mount what the partition holds, if that is an image, as the firmware does before boot.py."""
    try:
        vfs.mount(vfs.VfsRom(memory), "/rom")
    except OSError:
        return
    sys.path.extend(["/rom", "/rom/lib"])


def leave(ram):
    """Take all memory but ``ram`` bytes in one piece: what is free in small pieces elsewhere would not be of use."""
    global kept
    gc.collect()
    free = bytearray(ram)
    for size in (_CHUNK, 96, 0):
        try:
            while True:
                kept = (kept, bytearray(size)) if size else (kept,)
        except MemoryError:
            pass
    del free
    gc.collect()
