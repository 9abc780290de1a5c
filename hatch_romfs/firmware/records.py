"""Intel HEX files and S-records: lines of text, each with bytes and the address of the first one.

The package bincopy encodes and decodes the records. Files are made of them here: bincopy's own reader does not say
which line is wrong or overlaps another, and takes quadratic time if there are many holes; its writer can put both
sides of a multiple of 64 KiB into one record.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.firmware.memory import Piece, Range, Segment, join, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PER_LINE = 16
_MAX_LINE = 1024
"""Characters of a line, at most: twice those of the longest record."""
_BANK = 1 << 16
_MAX_RUNS = 1 << 16
"""Ranges of a file, at most: more than any firmware has, and a bound for code that goes through them."""


class Record(NamedTuple):
    """A record without data for the memory: the header of S-records, or where execution starts."""

    kind: int
    address: int
    data: bytes


class RecordFile(NamedTuple):
    """A file of records, hex or srec, with what it says besides the content."""

    kind: str
    segments: tuple[Segment, ...]
    header: Record | None = None
    start: Record | None = None
    family: str | None = None
    base: int | None = None

    def replace(self, cleared: Sequence[Range], added: Sequence[Segment]) -> bytes:
        """Return the file with other content, in order of address."""
        kept = outside(self.segments, cleared)
        return encode(self._replace(segments=tuple(sorted([*kept, *added]))))


class _Reader:
    """The records so far: those that follow one another in memory are joined."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int, int, list[bytes]]] = []
        self.end = -1
        self.header: Record | None = None
        self.start: Record | None = None
        self.finished = False

    def add(self, address: int, data: bytes, number: int, offset: int) -> None:
        if address != self.end or not self.runs:
            if len(self.runs) >= _MAX_RUNS:
                raise ImageError(f"line {number}: more than {_MAX_RUNS:,} ranges", offset=offset)
            self.runs.append((address, number, offset, []))
        self.runs[-1][3].append(data)
        self.end = address + len(data)

    def file(self, kind: str, size: int) -> RecordFile:
        if not self.finished:
            raise ImageError("the file is cut short: it has no record that ends it", offset=size)
        pieces = [Piece(address, b"".join(parts), number, offset) for address, number, offset, parts in self.runs]
        return RecordFile(kind, join(pieces, "line"), self.header, self.start)


def parse_hex(data: bytes) -> RecordFile:
    """Read an Intel HEX file. Raises ImageError, which names the line."""
    unpack = load_bincopy().unpack_ihex
    reader, base = _Reader(), 0
    for number, offset, line in _lines(data):
        kind, address, _, payload = _decode(unpack, line, number, offset)
        if reader.finished:
            raise ImageError(f"line {number} follows the end of the file's records", offset=offset)
        match kind:
            case 0:
                reader.add(base + address, payload, number, offset)
            case 1:
                reader.finished = True
            case 2 | 4:
                base = _upper(payload, number, offset) << (4 if kind == 2 else 16)  # noqa: PLR2004 - segments
            case 3 | 5:
                reader.start = Record(kind, 0, bytes(payload))
            case _:
                raise ImageError(f"line {number} has the unknown type {kind}", offset=offset)
    return reader.file("hex", len(data))


def parse_srec(data: bytes) -> RecordFile:
    """Read a file of S-records. Raises ImageError, which names the line."""
    unpack = load_bincopy().unpack_srec
    reader = _Reader()
    for number, offset, line in _lines(data):
        letter, address, _, payload = _decode(unpack, line, number, offset)
        match kind := int(letter):
            case 0:
                reader.header = Record(kind, address, bytes(payload))
            case 1 | 2 | 3:
                reader.add(address, payload, number, offset)
            case 7 | 8 | 9:
                reader.start = Record(7, address, b"")
                reader.finished = True
    return reader.file("srec", len(data))


def encode(file: RecordFile) -> bytes:
    """Return the text of a file."""
    lines = _hex_lines(file) if file.kind == "hex" else _srec_lines(file)
    return ("\n".join(lines) + "\n").encode("ascii")


def _hex_lines(file: RecordFile) -> Iterator[str]:
    pack = load_bincopy().pack_ihex
    bank = 0
    for address, data in _chunks(file.segments):
        if address // _BANK != bank:
            bank = address // _BANK
            yield pack(4, 0, 2, bank.to_bytes(2, "big"))
        yield pack(0, address % _BANK, len(data), data)
    if file.start:
        yield pack(file.start.kind, 0, len(file.start.data), file.start.data)
    yield pack(1, 0, 0, None)


def _srec_lines(file: RecordFile) -> Iterator[str]:
    pack = load_bincopy().pack_srec
    if file.header:
        yield pack("0", file.header.address, len(file.header.data), file.header.data)
    for address, data in _chunks(file.segments):
        yield pack("3", address, len(data), data)
    yield pack("7", file.start.address if file.start else 0, 0, None)


def _chunks(segments: Sequence[Segment]) -> Iterator[tuple[int, bytes]]:
    """Yield the data of each record: none crosses a multiple of 64 KiB, where readers of Intel HEX disagree."""
    for segment in segments:
        start = segment.address - segment.address % _PER_LINE
        for line in range(start, segment.range.end, _PER_LINE):
            first = max(line, segment.address)
            yield first, segment.data[first - segment.address : line + _PER_LINE - segment.address]


def load_bincopy() -> Any:  # noqa: ANN401 - the package has no types
    """Return the module bincopy. Raises SettingsError if it is not installed."""
    try:
        import bincopy  # noqa: PLC0415 - an extra, and only these files need it
    except ImportError:
        raise SettingsError(
            "Intel HEX files and S-records need the package bincopy", hint="pip install 'hatch-romfs[bundle]'"
        ) from None
    return bincopy


def _lines(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield the number, the offset, and the text of each line that is not empty."""
    offset = 0
    for number, line in enumerate(BytesIO(data), 1):  # one at a time: a list of them takes many times their size
        text = line.strip()
        if len(text) > _MAX_LINE or not text.isascii():
            raise ImageError(f"line {number} is not a record", offset=offset)
        if text:
            yield number, offset, text.decode("ascii")
        offset += len(line)


def _decode(
    unpack: Callable[[str], tuple[Any, int, int, bytes]], line: str, number: int, offset: int
) -> tuple[Any, int, int, bytes]:
    try:
        return unpack(line)
    except Exception as error:  # noqa: BLE001 - also what bincopy does not expect, such as letters in a number
        raise ImageError(f"line {number} is not a valid record: {error}", offset=offset) from None


def _upper(payload: bytes, number: int, offset: int) -> int:
    if len(payload) != 2:  # noqa: PLR2004 - 16 bits of an address
        raise ImageError(f"line {number} has {len(payload)} bytes of an address instead of 2", offset=offset)
    return int.from_bytes(payload, "big")
