"""MicroPython code that runs on the board and changes its filesystem; it is sent after ``agent_files.py``.

Whatever is here can be done twice: where an answer is lost, the host asks for it again.
"""
# ruff: noqa: F821 - the names of the other parts are there


def number(data):
    """Return a number of two or four bytes."""
    return int.from_bytes(data, "big")


def program(_, data, __):
    """Carry out the records of ``data``, in order: see ``pack`` in records.py. Return ``=`` or ``!`` and a reason."""
    data = memoryview(data)
    if (crc(data[5:]) if data[0] else sign(data[5:])) != number(data[1:5]):
        return "!damaged"
    at = 5
    while at < len(data):
        name = at + 11
        start = name + number(data[at + 1 : at + 3])
        offset = number(data[at + 3 : at + 7])
        end = start + number(data[at + 7 : name])
        if not act(chr(data[at]), base + bytes(data[name:start]).decode(), offset, data[start:end]):
            return "!differs"
        at = end
    if hasattr(os, "sync"):
        os.sync()
    return "="


def crc(data):
    """Return the CRC-32 of bytes."""
    import binascii

    return binascii.crc32(data)


def act(kind, path, offset, data):
    """Carry out one record; return False where the filesystem does not keep what is written."""
    there = state(path)
    if kind == "m":
        if there != "d":
            os.mkdir(path)
    elif kind == "d":
        if there == "d":
            try:
                os.rmdir(path)
            except OSError:
                pass  # something of others is in it
    elif kind == "r":
        if there not in ("-", "d"):
            os.remove(path)
    elif not append(path if kind == "s" else temporary, offset, data, kind == "l"):
        return False
    elif kind == "l":
        rename(path)
    return True


def append(path, offset, data, last):
    """Write part of a file; return whether the file has it then, and nothing after the last part."""
    with open(path, "r+b" if offset else "wb") as target:
        target.seek(offset)
        target.write(data)
    with open(path, "rb") as source:
        source.seek(offset)
        done = 0
        while done < len(data):
            piece = source.read(min(CHUNK, len(data) - done))
            if not piece or piece != data[done : done + len(piece)]:
                return False
            done += len(piece)
        return not last or not source.read(1)


def rename(path):
    """Give the temporary file its name; where the filesystem replaces no file, remove that first."""
    try:
        os.rename(temporary, path)
    except OSError as error:
        if error.errno != 17:
            raise
        os.remove(path)
        os.rename(temporary, path)
