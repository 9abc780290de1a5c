"""Flash, and how each port of MicroPython gives access to it: the simulated board runs this.

What ``vfs.rom_ioctl`` is on each port, and how its C code answers, was read off the ports of MicroPython
(rp2/rp2_flash.c, stm32/flash.c, each vfs_rom_ioctl.c). Errors are negative integers, as there.
"""

import uctypes

EIO, EINVAL = 5, 22
COUNT, SEGMENT, PREPARE, WRITE, _COMPLETE, MIN_PREPARE = range(1, 7)
"""What ``vfs.rom_ioctl`` is asked for."""
BLOCK_COUNT, BLOCK_SIZE, BLOCK_ERASE = 4, 5, 6
"""What a block device's ``ioctl`` is asked for."""
_CHUNK = 1024
_ERASED = b"\xff" * _CHUNK
_WORD = 4
_BLANK = 0xFF
_MOST_WRITES = 2  # of a word of nRF flash between erases


class Flash:
    """One partition under flash rules: in memory, where programs read it, and in its file, after every change."""

    clock = None
    check_timers = None
    open_file = None
    """What all flash of a board has: its time, what looks for code in use, and how to open files outside."""

    def __init__(self, config, index, file):
        self.config, self.index, self.file = config, index, file
        self.size, self.block, self.unit = config["size"], config["block"], config["unit"]
        self.real_block, self.real_unit = config["real_block"], config["real_unit"]
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
        """Set the real blocks of the range to 0xff; return 0 or a negative errno."""
        least = min(self.block, self.real_block)
        if offset % least or length % least or not self.holds(offset, length):
            return self.violation("erase", offset, length, "not whole blocks of the partition", EINVAL)
        if length:  # an erase of nothing, which asks for the unit, does nothing
            self.check_timers()
        start, end = self.real_range(offset, length)
        for at in range(start, end, _CHUNK):
            self.put(at, memoryview(_ERASED)[: min(_CHUNK, end - at)])
        if self.config["programs"] == "twice":
            self.count_programs(start, end - start, erased=True)
        if self.clock:
            self.clock.spend((end - start) // self.real_block * self.config["durations"]["erase"])
        return 0

    def real_range(self, offset, length):
        """Return where an erase begins and ends: it takes whole real blocks."""
        end = -(-(offset + length) // self.real_block) * self.real_block
        return offset - offset % self.real_block, min(end, self.size)

    def write(self, offset, data):
        """Clear bits, in whole write units; return 0 or a negative errno."""
        data = memoryview(data)
        if offset % self.unit or len(data) % self.unit or not self.holds(offset, len(data)):
            return self.violation("write", offset, len(data), "not whole write units of the partition", EINVAL)
        if offset % self.real_unit:
            return -EIO  # the drivers of stm32 refuse it before anything is programmed
        self.check_timers()
        wrong = self.program(offset, data)
        if self.clock:
            self.clock.spend(len(data) * self.config["durations"]["program"] / 256)
        return self.violation("write", offset, len(data), wrong, EIO) if wrong else 0

    def program(self, offset, data):
        """Write as this kind of flash does; return which rule that breaks, or None."""
        kind = self.config["programs"]
        if kind == "overwrite":
            self.put(offset, data)
            return None
        twice = kind == "twice" and self.count_programs(offset, len(data))
        # A tail is padded to the real unit, so that the rest of that is programmed too.
        if self.is_erased(offset, -(-len(data) // self.real_unit) * self.real_unit):
            self.put(offset, data)
            return twice or None
        old = self.memory[offset : offset + len(data)]
        sets_bits = any([new & ~was and new != _BLANK for was, new in zip(old, data)])  # noqa: B905, C419
        self.put(offset, self.result(offset, data))
        if kind == "ecc" or sets_bits:
            return "over bytes that are not erased"
        return twice or None

    def result(self, offset, data):
        """Return what a write leaves."""
        if self.config["programs"] == "overwrite":
            return bytes(data)
        return bytes([was & new for was, new in zip(self.memory[offset : offset + len(data)], data)])  # noqa: B905

    def count_programs(self, offset, length, *, erased=False):
        """Count the writes of each word, in a file that outlives a reset; return what is wrong, or None."""
        path = "%s/writes-%d" % (self.config["home"], self.index)
        try:
            file = self.open_file(path, "r+b")
        except OSError:
            with self.open_file(path, "wb") as file:  # what is not erased was written once
                for at in range(0, self.size, _WORD):
                    file.write(b"\0" if self.is_erased(at, _WORD) else b"\1")
            file = self.open_file(path, "r+b")
        with file:
            file.seek(offset // _WORD)
            counts = bytearray(length // _WORD)
            file.readinto(counts)
            for index, count in enumerate(counts):
                counts[index] = 0 if erased else min(count + 1, 255)
            file.seek(offset // _WORD)
            file.write(counts)
        return "a third time since the last erase" if max(counts) > _MOST_WRITES else None

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
        with self.open_file(self.config["file"] + ".violations", "a") as notes:
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


class EmptyPartition:
    """A block device without blocks."""

    def ioctl(self, op, _block):
        """Answer that there are none."""
        return 0 if op == BLOCK_COUNT else 4096 if op == BLOCK_SIZE else -EINVAL

    def readblocks(self, *_):
        """Refuse."""
        return -EINVAL

    writeblocks = readblocks


class RomIoctl:
    """``vfs.rom_ioctl`` of every port but ``no-romfs``; ``unusable`` says what is wrong with which partition."""

    def __init__(self, access, partitions, unusable):
        self.access, self.partitions, self.unusable = access, partitions, unusable

    def __call__(self, op, *args):
        """Answer as the port's C code does."""
        if op == COUNT:
            return len(self.partitions)
        if not args or not 0 <= args[0] < len(self.partitions):
            return -EINVAL
        if args[0] in self.unusable:
            return self.unusable_answer(op, self.unusable[args[0]])
        flash = self.partitions[args[0]]
        return flash.handle if op == SEGMENT else self.change(op, flash, args[1:])

    def unusable_answer(self, op, kind):
        """Answer for a partition that cannot be used."""
        if kind == "raises":
            raise OSError(EIO)
        if op != SEGMENT or kind == "einval":
            return -EINVAL
        if kind == "none":
            return None
        return EmptyPartition() if self.access == "object" else memoryview(b"")

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
            least = min(flash.block, flash.real_block)
            offset, length = 0, -(-first // least) * least
        else:
            offset, length = first, second
        if self.access == "mram":
            return flash.unit if flash.holds(offset, length) else -EINVAL
        return flash.erase(offset, length) or flash.unit
