"""MicroPython code that runs on the board and reads a partition; it is sent with ``agent_hash.py``.

It is sent through the raw REPL without its comments and docstrings.
"""
# ruff: noqa: F821 - the names of agent_hash.py are there

import vfs

ERASED = b"\xff" * 256
io_ = vfs.rom_ioctl
part = at_once = 0
dev = None
hasher = ""
ranged = False


def attach(number, block, how, ranges):
    """Choose a partition: its block in bytes, its hash, and whether erasing takes an offset. Print the choice."""
    global part, dev, at_once, hasher, ranged
    part = number
    dev = io_(2, number)
    at_once = block
    hasher = how
    ranged = ranges
    print(part, at_once, hasher, int(ranged))


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


def blank(at, size):
    """Return whether a range is erased."""
    for data in pieces(at, size):
        for start in range(0, len(data), 256):
            part = data[start : start + 256]
            if part != (ERASED if len(part) == 256 else b"\xff" * len(part)):
                return False
    return True


def scan(how, size, block, limit):
    """Print a line for each block that an image of ``size`` bytes covers: ``-`` if it is erased, else its hash.

    The hash is that of the bytes which the image covers. No block reaches beyond ``limit``, the partition's size.
    """
    for at in range(0, size, block):
        if blank(at, min(block, limit - at)):
            print("-")
        else:
            tell(how, at, min(block, size - at))
