"""Frames: what goes up the line to the agent, as bytes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass


def check_sum(data: bytes, total: int = 0) -> int:
    """Return the check sum that the board's code computes too; ``total`` is that of what comes before."""
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFF
    return total


def deflate(data: bytes) -> tuple[bytes, int]:
    """Return raw deflated data, and the logarithm of the window that it needs."""
    wbits = max(9, min(15, (len(data) - 1).bit_length()))
    packer = zlib.compressobj(9, zlib.DEFLATED, -wbits, 9)
    return packer.compress(data) + packer.flush(), wbits


def without_interrupts(data: bytes) -> tuple[bytes, int]:
    """Return data whose bytes 0x03, which would interrupt the board, are 0x02, with their places after it."""
    places = [at for at, byte in enumerate(data) if byte == 3]  # noqa: PLR2004 - Ctrl-C
    tail = b"".join(bytes((0x80 | at >> 14, 0x80 | at >> 7 & 0x7F, 0x80 | at & 0x7F)) for at in places)
    return data.replace(b"\x03", b"\x02") + tail, len(places)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the host asks of the agent: a letter, a range of the partition, and data for it, deflated if ``wbits``."""

    kind: bytes
    at: int
    size: int
    data: bytes = b""
    wbits: int = 0

    def head(self, patches: int = 0, crc: int = 0) -> bytes:
        """Return the frame's first 44 bytes: its numbers in hex, and the check sum that the agent computes too."""
        head = self.kind + b"%08x%08x%08x%04x%01x%08x" % (
            self.at,
            self.size,
            len(self.data),
            patches,
            self.wbits,
            crc,
        )
        return head + b"%06x" % check_sum(head)
