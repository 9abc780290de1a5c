"""MicroPython code that runs on the board and changes a partition; it is sent after ``agent.py`` where it is needed.

Every function returns a string: ``=`` for success, or ``!`` and a reason. ``rom_ioctl`` returns errors as negative
numbers, so each result is checked.
"""
# ruff: noqa: F821 - the names of agent.py are there


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
