"""MicroPython code that runs on the board and hashes what ``pieces`` yields.

``agent.py`` and ``agent_files.py`` each have their own ``pieces``, of a partition or a file, and are sent with this.
"""
# ruff: noqa: F821 - the names of the other part are there

import sys

CHUNK = 1024


def sign(data, total=0):
    """Return a check sum of bytes, small enough for an integer without allocation."""
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFF
    return total


def hashes(how, at, size):
    """Yield the hash of a range in hex; with the method "bytes", yield the range itself in hex."""
    if how == "sha256":
        import hashlib

        digest = hashlib.sha256()
        for data in pieces(at, size):
            digest.update(data)
        yield text(digest.digest())
    elif how == "crc32":
        import binascii

        crc = 0
        for data in pieces(at, size):
            crc = binascii.crc32(data, crc)
        yield "%08x" % crc
    else:
        yield from hexes(at, size)


def hexes(at, size):
    """Yield a range in hex, in parts that fit into little memory."""
    for data in pieces(at, size):
        for start in range(0, len(data), 256):
            yield text(data[start : start + 256])


def tell(how, at, size):
    """Print an ``=`` and the hash of a range."""
    sys.stdout.write("=")
    for piece in hashes(how, at, size):
        sys.stdout.write(piece)
    sys.stdout.write("\n")


try:
    from binascii import hexlify

    def text(data):
        """Return bytes in hex."""
        return hexlify(data).decode()

except ImportError:

    def text(data):
        """Return bytes in hex."""
        return "".join(["%02x" % byte for byte in data])
