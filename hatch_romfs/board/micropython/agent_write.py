"""MicroPython code that runs on the board and changes a partition; it is sent after ``agent.py`` where it is needed.

Every function returns a string: ``=`` for success, or ``!`` and a reason. ``rom_ioctl`` returns errors as negative
numbers, so each result is checked.
"""
# ruff: noqa: F821 - the names of agent.py are there

import gc
import io


def erase(at, size):
    """Erase a range; where only everything can be erased, from the start to the end of the range."""
    if hasattr(dev, "ioctl"):
        for block in range(at // at_once, (at + size + at_once - 1) // at_once):
            error = dev.ioctl(6, block)
            if error:
                return "!%d" % error
        return "="
    error = io_(3, part, at, size) if ranged else io_(3, part, at + size)
    return "!%d" % error if error and error < 0 else "="


def program(at, data, check):
    """Program a range and, with ``check``, compare what the flash holds then with the data."""
    data = memoryview(data)
    if hasattr(dev, "ioctl"):
        done = 0
        while done < len(data):
            size = min(len(data) - done, at_once - (at + done) % at_once)
            error = dev.writeblocks((at + done) // at_once, data[done : done + size], (at + done) % at_once)
            if error:
                return "!%d" % error
            done += size
    else:
        error = io_(4, part, at, data)
        if error and error < 0:
            return "!%d" % error
    if check:
        done = 0
        for piece in pieces(at, len(data)):
            if piece != data[done : done + len(piece)]:
                return "!differs"
            done += len(piece)
    return "="


def inflate(data, wbits, size):
    """Return ``size`` bytes of data that was deflated with a window of ``wbits``; 0 means not deflated."""
    if not wbits:
        return data
    import deflate

    out = bytearray(size)
    deflate.DeflateIO(io.BytesIO(data), deflate.RAW, wbits).readinto(out)
    return out


def sign(head):
    """Return the check sum of a frame's head, small enough for an integer without allocation."""
    total = 0
    for byte in head:
        total = (total * 31 + byte) & 0xFFFFFF
    return total


def receive(source, buffer, size, patches, crc):
    """Ask for a frame's data and read it into the buffer; return whether it arrived intact.

    Everything is allocated before the host is asked, so that nothing can keep the board from reading in time.
    """
    view = memoryview(buffer)[: size + 3 * patches]
    sys.stdout.write(">")
    source.readinto(view)
    if crc:
        import binascii

        if binascii.crc32(view) != crc:
            sys.stdout.write("?\n")
            return False
    sys.stdout.write(".")
    # Byte 0x03 would interrupt: the host sends another, and behind the data where it belongs.
    for at in range(size, size + 3 * patches, 3):
        buffer[(buffer[at] & 127) << 14 | (buffer[at + 1] & 127) << 7 | buffer[at + 2] & 127] = 3
    return True


def serve():
    """Take frames from standard input until one says that it is the last.

    A head of 44 bytes: a letter, six numbers in hex, and a check sum. Ctrl-C still interrupts, so that a host that
    dies never leaves a deaf board.
    """
    source = sys.stdin.buffer
    head = bytearray(44)
    numbers = memoryview(head)
    buffer = None
    print("+")
    while True:
        source.readinto(head)
        try:
            if int(bytes(numbers[38:]), 16) != sign(numbers[:38]):
                raise ValueError
            at, size, length, patches, wbits, crc = [
                int(bytes(numbers[n:end]), 16) for n, end in ((1, 9), (9, 17), (17, 25), (25, 29), (29, 30), (30, 38))
            ]
        except ValueError:
            print("?")
            continue
        kind = chr(head[0])
        try:
            if kind == "Q":
                print("=")
                return
            if kind in "WP":
                if buffer is None or len(buffer) < length + 3 * patches:
                    buffer = None
                    gc.collect()
                    buffer = bytearray(length + 3 * patches)
                if receive(source, buffer, length, patches, crc):
                    data = inflate(memoryview(buffer)[:length], wbits, size)
                    print(program(at, data, kind == "W"))
            elif kind == "E":
                print(erase(at, size))
            else:
                tell(hasher, at, size)
        except Exception as error:
            data = None
            gc.collect()
            print("!" + repr(error))
