"""MicroPython code that runs on the board and inflates what it is sent to write."""

import io


def inflate(data, wbits, size):
    """Return ``size`` bytes of data that was deflated with a window of ``wbits``; 0 means not deflated."""
    if not wbits:
        return data
    import deflate

    out = bytearray(size)
    deflate.DeflateIO(io.BytesIO(data), deflate.RAW, wbits).readinto(out)
    return out
