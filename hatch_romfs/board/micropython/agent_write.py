"""What runs on the board to change a partition: MicroPython code, sent behind ``agent.py`` where that is needed.

Every function answers a string: ``=``, or ``!`` and a reason for what went wrong. Errors of ``rom_ioctl`` are
returned as negative numbers, so each result is looked at.
"""
# ruff: noqa: F821 - the names of agent.py are there

import gc
import io


def erase(at, size):
    """Erase; where only all can be erased, from the start up to the end of what is meant."""
    if hasattr(dev, "ioctl"):
        for block in range(at // at_once, (at + size + at_once - 1) // at_once):
            bad = dev.ioctl(6, block)
            if bad:
                return "!%d" % bad
        return "="
    bad = io_(3, part, at, size) if ranged else io_(3, part, at + size)
    return "!%d" % bad if bad < 0 else "="


def write(at, data, wbits):
    """Write data, deflated if ``wbits``."""
    gc.collect()
    if wbits:
        import deflate

        data = deflate.DeflateIO(io.BytesIO(data), deflate.RAW, wbits).read()
    if hasattr(dev, "ioctl"):
        data = memoryview(data)
        done = 0
        while done < len(data):
            here = min(len(data) - done, at_once - (at + done) % at_once)
            bad = dev.writeblocks((at + done) // at_once, data[done : done + here], (at + done) % at_once)
            if bad:
                return "!%d" % bad
            done += here
    else:
        bad = io_(4, part, at, data)
        if bad and bad < 0:
            return "!%d" % bad
    return "="


def serve():
    """Take commands from standard input: a letter and four numbers, then data in which 0x03 is escaped.

    Ctrl-C still interrupts, so that a host that dies never leaves a deaf board.
    """
    source = sys.stdin.buffer
    tell("+", 0, 0)
    while True:
        head = source.read(33)
        kind = head[:1]
        at, size, wbits, length = (int(head[n : n + 8], 16) for n in (1, 9, 17, 25))
        if kind == b"Q":
            return
        try:
            if kind == b"W":
                gc.collect()
                try:
                    data = source.read(length)
                except MemoryError:  # what was not read must not be taken for commands
                    while length:
                        length -= len(source.read(min(64, length)))
                    raise
                data = data.replace(b"\x1bC", b"\x03").replace(b"\x1b[", b"\x1b")
                tell(write(at, data, wbits), at, size)
            elif kind == b"E":
                tell(erase(at, size), 0, 0)
            else:
                tell("=", at, size)
        except Exception as error:
            tell("!" + repr(error), 0, 0)
