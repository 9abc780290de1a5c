"""UF2 files: blocks of 512 bytes that the USB drive of a boot loader takes, strictly.

This is written here because the packages for UF2 check neither the numbers of blocks nor overlaps, and because each
block of the firmware has to stay as it is, with its flags and extensions: only its number and the count change.
A boot loader silently ignores a block that it does not like, so everything that it would not like is an error here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BoardError, ImageError, SettingsError
from hatch_romfs.firmware.memory import ERASED, Piece, Range, Segment, join
from hatch_romfs.firmware.model import SECTOR
from romfs_manifest.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAGIC = b"UF2\nWQ]\x9e"
BLOCK = 512
PAGE = 256
"""Bytes of data in a block: what every RP2 boot loader wants, and all others take."""
MAX_BLOCKS = 1 << 17
"""Blocks of a file, at most: 32 MiB in pages, which is all the flash that an RP2350 can have."""
RP2 = {
    "rp2040": 0xE48BFF56,
    "absolute": 0xE48BFF57,
    "data": 0xE48BFF58,
    "rp2350-arm-s": 0xE48BFF59,
    "rp2350-riscv": 0xE48BFF5A,
    "rp2350-arm-ns": 0xE48BFF5B,
}
FAMILIES = {
    **RP2,
    "mimxrt10xx": 0x4FB2D5BD,
    "nrf52840": 0xADA52840,
    "samd21": 0x68ED2B88,
    "samd51": 0x55114460,
}
"""The families of boards that MicroPython builds UF2 files for; other numbers are shown in hexadecimal."""
_END = 0x0AB16F30
_HEADER = struct.Struct("<8s6I")
_NUMBERS = struct.Struct("<2I")
_NUMBERS_AT = 20
_NOT_MAIN_FLASH, _CONTAINER, _HAS_FAMILY, _HAS_EXTENSIONS = 0x1, 0x1000, 0x2000, 0x8000
_MAX_DATA = 476


class _Block(NamedTuple):
    raw: bytes
    flags: int
    address: int
    size: int
    number: int
    total: int
    family: int | None

    @property
    def data(self) -> bytes:
        return self.raw[_HEADER.size : _HEADER.size + self.size]


class Uf2File(NamedTuple):
    """A UF2 file. ``workaround`` is the block that picotool puts before firmware for the RP2350, if there is one."""

    blocks: tuple[_Block, ...]
    segments: tuple[Segment, ...]
    family_id: int | None
    workaround: bytes = b""
    kind: str = "uf2"
    base: int | None = None

    @property
    def family(self) -> str | None:
        """The name of the family, or its number if it has no name here."""
        return None if self.family_id is None else family_name(self.family_id)

    @property
    def is_rp2(self) -> bool:
        """Whether the file is for an RP2040 or RP2350."""
        return self.family_id in RP2.values()

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return the file with other content, in blocks of one family, in order of address."""
        kept = [block for block in self.blocks if not self._is_cleared(block, cleared)]
        new = [(block.address, block.raw) for block in kept]
        for segment in added:
            new += _encode(segment, self.family_id)
        return self.workaround + _number(sorted(new))

    def _is_cleared(self, block: _Block, cleared: Sequence[Range]) -> bool:
        place = Range(block.address, block.size)
        hit = next((other for other in cleared if other.overlaps(place)), None)
        if hit and not (hit.address <= place.address and place.end <= hit.end):
            raise BoardError(f"block {block.number} is only partly inside the partition at {hit}")
        return hit is not None


def parse(data: bytes) -> Uf2File:
    """Read a UF2 file. Raises ImageError, which names the block, for anything that a boot loader would not take."""
    check_count(len(data))
    blocks = [_block(data, number) for number in range(len(data) // BLOCK)]
    workaround = b""
    if blocks and _is_workaround(blocks[0]):
        workaround = blocks.pop(0).raw
    first = len(workaround) // BLOCK
    if not blocks:
        raise ImageError("the UF2 file has no blocks", offset=0)
    for index, block in enumerate(blocks):
        if problem := _problem(block, blocks[0], index, len(blocks)):
            raise ImageError(f"block {first + index} {problem}", offset=(first + index) * BLOCK)
    pieces = (Piece(block.address, block.data, first + i, (first + i) * BLOCK) for i, block in enumerate(blocks))
    return Uf2File(tuple(blocks), join(pieces, "block"), blocks[0].family, workaround)


def check_count(size: int) -> None:
    """Refuse a file of ``size`` bytes that is too large to read, or that ends within a block. Raises ImageError."""
    if size > MAX_BLOCKS * BLOCK:
        message = f"block {MAX_BLOCKS}: a UF2 file can have at most {MAX_BLOCKS:,} blocks"
        raise ImageError(message, offset=MAX_BLOCKS * BLOCK)
    if size % BLOCK:
        number = size // BLOCK
        raise ImageError(f"block {number} is cut short: {size % BLOCK} of {BLOCK} bytes", offset=number * BLOCK)


def encode(segment: Segment, family: int) -> bytes:
    """Return a file that contains only ``segment``, filled up to whole sectors."""
    return _number(_encode(segment, family))


def family_name(number: int) -> str:
    """Return the name of a family, or its number in hexadecimal."""
    return next((name for name, known in FAMILIES.items() if known == number), f"{number:#010x}")


def family_number(name: str) -> int:
    """Return the number of a family from its name or its number in hexadecimal. Raises SettingsError."""
    lower = name.lower()
    if lower in FAMILIES:
        return FAMILIES[lower]
    if lower.startswith("0x") and len(lower) == len("0xe48bff56"):
        try:
            return int(lower, 16)
        except ValueError:
            pass
    raise SettingsError(
        f"{name!r} is not a UF2 family{did_you_mean(lower, FAMILIES)}",
        hint=f"Known families: {', '.join(FAMILIES)}; or a number such as 0xe48bff56.",
    )


def _block(data: bytes, number: int) -> _Block:
    offset = number * BLOCK
    raw = data[offset : offset + BLOCK]
    magic, flags, address, size, own, count, family = _HEADER.unpack_from(raw)
    if magic != MAGIC or int.from_bytes(raw[-4:], "little") != _END:
        raise ImageError(f"block {number} is not a UF2 block", offset=offset)
    return _Block(raw, flags, address, size, own, count, family if flags & _HAS_FAMILY else None)


def _is_workaround(block: _Block) -> bool:
    """Return whether this is the block for erratum RP2350-E10: absolute, the first of two, and without meaning."""
    return (
        block.family == RP2["absolute"]
        and (block.number, block.total, block.size) == (0, 2, PAGE)
        and block.flags & ~_HAS_EXTENSIONS == _HAS_FAMILY
        and not block.data.strip(b"\xef")
    )


def _problem(block: _Block, first: _Block, index: int, count: int) -> str | None:
    """Return what is wrong with a block, which is the ``index``-th of ``count``."""
    if block.total != count or block.number != index:
        return _numbering_problem(block, index, count)
    if block.flags & (_NOT_MAIN_FLASH | _CONTAINER):
        return "is not for the main flash"
    if block.family != first.family:
        families = " and ".join(
            "none" if family is None else family_name(family) for family in (first.family, block.family)
        )
        return f"has another family: {families} are mixed"
    if not 0 < block.size <= _MAX_DATA:
        return f"has {block.size:,} bytes of data; a block has 1 to {_MAX_DATA}"
    if block.family in RP2.values() and (block.size != PAGE or block.address % PAGE):
        return f"has {block.size} bytes at {block.address:#x}; the boot loader takes only whole pages of {PAGE}"
    return None


def _numbering_problem(block: _Block, index: int, count: int) -> str:
    says = f"says that it is block {block.number} of {block.total}"
    if block.number == 0 and index:
        return f"starts another UF2 file: it {says}; a boot loader stops after the first file"
    if block.total != count:
        return f"{says}, but the file has {count} blocks"
    missing = "is missing" if block.number > index else "appears again or out of order"
    return f"{says}: block {min(index, block.number)} {missing}"


def _encode(segment: Segment, family: int | None) -> list[tuple[int, bytes]]:
    """Return the address and the bytes of each new block, not numbered yet.

    The boot loader erases whole sectors, so the rest of the last one is filled with erased bytes.
    """
    data = segment.data + ERASED * (-len(segment.data) % SECTOR)
    return list(_blocks(segment.address, data, family))


def _blocks(address: int, data: bytes, family: int | None) -> Iterator[tuple[int, bytes]]:
    flags = 0 if family is None else _HAS_FAMILY
    for start in range(0, len(data), PAGE):
        header = _HEADER.pack(MAGIC, flags, address + start, PAGE, 0, 0, family or 0)
        payload = data[start : start + PAGE].ljust(_MAX_DATA, b"\0")
        yield address + start, header + payload + _END.to_bytes(4, "little")


def _number(blocks: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a file of blocks, each with its number and their count."""
    raws = [raw for _, raw in blocks]
    if len(raws) > MAX_BLOCKS:
        raise BoardError(f"the file would have {len(raws):,} blocks; a UF2 file can have at most {MAX_BLOCKS:,}")
    file = bytearray(b"".join(raws))
    for index in range(len(raws)):
        _NUMBERS.pack_into(file, index * BLOCK + _NUMBERS_AT, index, len(raws))
    return bytes(file)
