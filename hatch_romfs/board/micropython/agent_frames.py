"""MicroPython code that runs on the board and takes frames from the host; it is sent after ``agent_write.py``.

Boards with little memory do without it.
"""
# ruff: noqa: F821 - the names of agent.py, agent_write.py and, for kinds C, S and F, agent_copy.py are there

import gc


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


def read_head(head):
    """Return the numbers of a frame's head: at, size, length, patches, wbits, crc; None if it is damaged."""
    numbers = memoryview(head)
    try:
        if int(bytes(numbers[38:]), 16) == sign(numbers[:38]):
            ends = (1, 9, 17, 25, 29, 30, 38)
            return [int(bytes(numbers[ends[n] : ends[n + 1]]), 16) for n in range(6)]
    except ValueError:
        pass
    return None


def answer(source, kind, buffer, numbers):
    """Do what a frame asks for, and print what came of it. Return the buffer for the next one."""
    at, size, length, patches, wbits, crc = numbers
    if kind in "WPC":
        if buffer is None or len(buffer) < length + 3 * patches:
            buffer = None
            gc.collect()
            buffer = bytearray(length + 3 * patches)
        if receive(source, buffer, length, patches, crc):
            put_together = assemble if kind == "C" else inflate
            print(program(at, put_together(memoryview(buffer)[:length], wbits, size), kind != "P"))
    elif kind == "H":
        tell(hasher, at, size)
    else:
        print((erase if kind == "E" else save if kind == "S" else forget)(at, size))
    return buffer


def serve():
    """Take frames from standard input until one says that it is the last.

    A head of 44 bytes: a letter, six numbers in hex, and a check sum. Ctrl-C still interrupts, so that a host that
    dies never leaves a deaf board.
    """
    source = sys.stdin.buffer
    head = bytearray(44)
    buffer = None
    print("+")
    while True:
        source.readinto(head)
        numbers = read_head(head)
        if numbers is None:
            print("?")
            continue
        kind = chr(head[0])
        if kind == "Q":
            print("=")
            return
        try:
            buffer = answer(source, kind, buffer, numbers)
        except Exception as error:
            buffer = None
            gc.collect()
            print("!" + repr(error))
