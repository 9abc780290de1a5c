"""What runs on the board to look at a partition: MicroPython code.

It is sent through the raw REPL with its comments and docstrings left out.
"""

import vfs

CHUNK = 1024
io_ = vfs.rom_ioctl
part = at_once = 0
dev = None
hasher = ""
ranged = False


def attach(number, block, how, ranges):
    """Choose a partition: its block in bytes, the name of the hash, whether erasing takes an offset."""
    global part, dev, at_once, hasher, ranged
    part = number
    dev = io_(2, number)
    at_once = block
    hasher = how
    ranged = ranges


def look(at, size):
    """Return the partition's bytes, in place where the port can."""
    try:
        return memoryview(dev)[at : at + size]
    except TypeError:
        data = bytearray(size)
        dev.readblocks(at // at_once, data, at % at_once)
        return data


def pieces(at, size):
    """Yield the bytes in small parts, none of which crosses a block."""
    end = at + size
    while at < end:
        size = min(CHUNK, end - at, at_once - at % at_once)
        yield look(at, size)
        at += size


def digest(at, size):
    """Answer the hash of what is there."""
    if hasher == "sha256":
        import hashlib

        made = hashlib.sha256()
        for data in pieces(at, size):
            made.update(data)
        return "=" + text(made.digest())
    if hasher == "crc32":
        import binascii

        crc = 0
        for data in pieces(at, size):
            crc = binascii.crc32(data, crc)
        return "=%08x" % crc
    return "=" + "".join(text(data) for data in pieces(at, size))


def text(data):
    """Return bytes in hex."""
    return "".join("%02x" % byte for byte in data)


def blank(at, size):
    """Say whether everything is erased."""
    return all(bytes(data) == b"\xff" * len(data) for data in pieces(at, size))


def scan(size, block):
    """Print for each block of an image of ``size`` bytes its hash, and whether it is erased."""
    for at in range(0, size, block):
        here = min(block, size - at)
        print(digest(at, here)[1:], int(blank(at, here)))
