"""MicroPython code that runs on the board and says what its filesystem has; it is sent with ``agent_hash.py``.

``base`` comes before each path: "" once the folder exists, because it is the working folder then. Answers that are not
hashes end with a check sum.
"""
# ruff: noqa: F821 - the names of agent_hash.py are there

import os

base = temporary = ""
file = None
total = 0


def say(text):
    """Print a line that counts for the check sum."""
    global total
    total = sign(text.encode(), total)
    print(text)


def end():
    """Print the check sum of the lines since the last one."""
    global total
    print("sum", total)
    total = 0


def begin(folder, names):
    """Choose the folder, and the last of the names for a file that is not complete.

    Print the folder's state, the filesystem's block, blocks and free blocks, and its path; then sizes.
    """
    global base, temporary
    base = (folder if folder.startswith("/") else os.getcwd().rstrip("/") + "/" + folder).rstrip("/") + "/"
    temporary = names[-1]
    place = base[:-1]
    there = state(place or "/")
    while place and state(place) != "d":
        place = place.rpartition("/")[0]
    space = os.statvfs(place or "/")
    say("%s %d %d %d %s" % (there, space[1], space[2], space[3], base))
    if there == "d":
        enter(base)
    sizes(names)


def enter(folder):
    """Make a folder the working folder, and paths relative to it."""
    global base
    os.chdir(folder)
    base = ""


def state(path):
    """Return the size of a file, ``d`` for a folder, ``-`` for nothing, or ``?`` and an error."""
    try:
        status = os.stat(path)
    except OSError as error:
        return "-" if error.errno in (2, 20) else "?%d" % error.errno
    return "d" if status[0] & 0x4000 else status[6]


def sizes(names):
    """Print for each path its state, whether a .py beside it would be imported instead, and the path."""
    for name in names:
        path = (base + name).rstrip("/")
        hidden = name.endswith(".mpy") and state(path[:-3] + "py") not in ("-", "d")
        say("%s %d %s" % (state(path), hidden, name))
    end()


def listed(name, ranges=((0, 1 << 30),)):
    """Yield the lines of a file whose numbers are in the ranges."""
    number = 0
    with open(base + name, "rb") as lines:
        for line in lines:
            for first, last in ranges:
                if first <= number <= last:
                    yield line.rstrip(b"\n").decode()
            number += 1


def pieces(at, size):
    """Yield the bytes of the open file from ``at`` on."""
    file.seek(at)
    while size > 0:
        data = file.read(min(CHUNK, size))
        if not data:
            return
        yield data
        size -= len(data)


def sums(how, names):
    """Print the hash of each file, or ``!`` and a reason."""
    global file
    for name in names:
        try:
            with open(base + name, "rb") as file:
                tell(how, 0, 1 << 30)
        except OSError as error:
            print("!%d" % error.errno)
