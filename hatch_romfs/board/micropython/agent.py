"""What runs on the board to look at a partition: MicroPython code.

It is sent through the raw REPL with its comments and docstrings left out.
"""

import sys

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


def hashes(at, size):
    """Yield the hash of what is there in hex; without any hash its bytes."""
    if hasher == "sha256":
        import hashlib

        made = hashlib.sha256()
        for data in pieces(at, size):
            made.update(data)
        yield text(made.digest())
    elif hasher == "crc32":
        import binascii

        crc = 0
        for data in pieces(at, size):
            crc = binascii.crc32(data, crc)
        yield "%08x" % crc
    else:
        yield from hexes(at, size)


def hexes(at, size):
    """Yield what is there in hex, in parts that fit into little memory."""
    for data in pieces(at, size):
        for start in range(0, len(data), 64):
            yield text(data[start : start + 64])


def tell(answer, at, size):
    """Print an answer, and behind an ``=`` the hash of what is there, if ``size`` bytes of it are meant."""
    sys.stdout.write(answer)
    if size and answer == "=":
        for part in hashes(at, size):
            sys.stdout.write(part)
    sys.stdout.write("\n")


def text(data):
    """Return bytes in hex."""
    digits, made = b"0123456789abcdef", bytearray(2 * len(data))
    for at, byte in enumerate(data):
        made[2 * at], made[2 * at + 1] = digits[byte >> 4], digits[byte & 15]
    return made.decode()


def blank(at, size):
    """Say whether everything is erased."""
    return all(bytes(data) == b"\xff" * len(data) for data in pieces(at, size))


def scan(size, block):
    """Print for each block of an image of ``size`` bytes whether all of it is erased, and the hash of its part."""
    for at in range(0, size, block):
        sys.stdout.write("%d " % blank(at, block))
        tell("=", at, min(block, size - at))
