"""MicroPython code that runs on the board and copies what it has already; it is sent after ``agent_write.py``.

Boards to which everything is sent do without it.
"""
# ruff: noqa: F821 - the names of agent.py and agent_write.py are there

import io

saved = {}


def save(at, size):
    """Keep content that is about to be erased."""
    for start in range(at, at + size, CHUNK):
        saved[start] = bytes(look(start, CHUNK))
    return "="


def forget(at, size):
    """Free what was saved."""
    for start in range(at, at + size, CHUNK):
        saved.pop(start, None)
    return "="


def old(at, size):
    """Yield old content, from memory where it was saved."""
    while size:
        start = at - at % CHUNK
        part = min(size, start + CHUNK - at)
        data = saved.get(start)
        yield look(at, part) if data is None else memoryview(data)[at - start : at - start + part]
        at += part
        size -= part


def assemble(data, wbits, size):
    """Return ``size`` bytes that are put together as a recipe says; raises ValueError if they are wrong.

    The recipe begins with their CRC-32. Each piece has eight bytes: the offset of old content and its size, or
    0xffffffff and the size of what follows.
    """
    recipe = io.BytesIO(data)
    if wbits:
        import deflate

        recipe = deflate.DeflateIO(recipe, deflate.RAW, wbits)
    crc = int.from_bytes(recipe.read(4), "big")
    out = memoryview(bytearray(size))
    done = 0
    while done < size:
        at = int.from_bytes(recipe.read(4), "big")
        end = done + int.from_bytes(recipe.read(4), "big")
        if end == done:
            raise ValueError("recipe")
        if at == 0xFFFFFFFF:
            recipe.readinto(out[done:end])
            done = end
        else:
            for piece in old(at, end - done):
                out[done : done + len(piece)] = piece
                done += len(piece)
    try:
        from binascii import crc32
    except ImportError:
        return out
    if crc32(out) != crc:
        raise ValueError("old content")
    return out
