"""How a partition is reached, erased, and written, from what the board answers about it.

Nothing that a board answers is trusted: what makes no sense raises ValueError.
"""

from __future__ import annotations

from typing import Final, Literal

from hatch_romfs.board.mperrno import EINVAL
from hatch_romfs.board.plan import Erasing, Geometry, Reprogramming

GROUP: Final = 4096
"""Bytes compared at once where what is erased at once is smaller, or nothing is."""
OBJECT_UNIT: Final = 256
"""Bytes that object partitions are written in: a page of NOR flash, the largest unit among them."""
LEAST_UNIT: Final = 32
"""Bytes of the smallest unit for flash behind a memoryview: STM32H7 states 16 and takes only multiples of 32."""
LARGEST_UNIT: Final = 4096
"""Bytes of the largest unit of writing that is believed."""
LARGEST_BLOCK: Final = 1 << 20
"""Bytes of the largest block that is believed to be erased at once: boards have 512 bytes to 256 KiB."""
LARGEST: Final = 1 << 32
"""Bytes of the largest partition that is believed: boards have 32-bit addresses."""
INTERNAL_UNIT: Final = 16
"""The unit that stm32 states for internal flash, which has error correction; it states 4 for external NOR flash."""

Access = Literal["object", "ranged", "whole", "mram", "read-only", "unusable"]
"""How a partition is reached: the five forms of ``vfs.rom_ioctl``, or not at all."""


def read_integer(text: str, most: int = LARGEST) -> int:
    """Return a number that a board printed; raises ValueError for anything else or more than ``most``."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text[:50]!r} is not a number")
    if len(digits) > 20 or int(digits) > most:  # noqa: PLR2004 - the digits of 64 bits
        raise ValueError(f"{text[:50]} is too large a number")
    return int(text)


def find_geometry(part: dict[str, str], size: int, platform: str) -> tuple[Access, Geometry]:
    """Return how a partition is reached, and its geometry as far as it can be trusted; raises ValueError."""
    if size <= 0:
        raise ValueError("it is empty")
    second_write: Reprogramming
    if "object" in part:
        block = read_integer(part["block"])
        if not 0 < block <= LARGEST_BLOCK or size % block:
            raise ValueError(f"it has {size} bytes in blocks of {block}")
        # A block device that esp32 encrypts takes no second write; samd's flash is believed to have error correction.
        by_platform: dict[str, Reprogramming] = {"rp2": "clear", "mimxrt": "clear", "esp32": "clear", "nrf": "once"}
        second_write = "none" if part.get("encrypted", "0") not in ("0", "None") else by_platform.get(platform, "none")
        return "object", Geometry(size, block, min(OBJECT_UNIT, block), "blocks", second_write)
    erased, stated = _operation(part["block"]), _operation(part["unit"])
    if stated is None or stated == -EINVAL:  # any other error is one of the flash, and will show when it is used
        return "read-only", Geometry(size, GROUP, 1, "never")
    if stated > LARGEST_UNIT:
        raise ValueError(f"it is written in units of {stated} bytes")
    if erased is not None and 0 < erased <= stated:
        return "mram", Geometry(size, GROUP, max(stated, 4), "nothing", "any")
    unit = max(LEAST_UNIT, 1 << (stated - 1).bit_length() if stated > 0 else 0)
    plain = 0 < stated < INTERNAL_UNIT and platform != "renesas-ra"  # which states 4 for its internal flash
    second_write = "clear" if plain else "none"
    if erased is None or erased <= 0:
        return "whole", Geometry(size, GROUP, unit, "all", second_write)
    if LARGEST_BLOCK < erased <= size:
        raise ValueError(f"it is erased in blocks of {erased} bytes")
    erasing: Erasing = "blocks" if size % erased == 0 and erased % unit == 0 else "all"
    return "ranged", Geometry(size, erased if erasing == "blocks" else GROUP, unit, erasing, second_write)


def _operation(text: str) -> int | None:
    """Return the number that an operation answered; None for an exception or nothing."""
    return read_integer(text) if text.removeprefix("-").isdigit() else None
