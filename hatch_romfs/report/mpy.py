"""The sections of a ``.mpy`` file: header, identifiers, constants, and the code of each function.

The layout is that of version 6, ``py/persistentcode.c`` and ``py/bc.h`` of MicroPython 1.29. A module in a ROM
filesystem is loaded in place: strings and bytecode stay in flash. Numbers and tuples become objects in RAM, and
native code is copied there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hatch_romfs.compile.header import read_header
from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython.walk import read_number
from hatch_romfs.report.bytecode import stored_names
from hatch_romfs.report.cells import Memory, Section
from hatch_romfs.report.static_names import static_name
from romfs_manifest.shared.mpy import MPY_VERSION

_FIXED: Final = 4
"""Bytes of a header before the architecture flags."""
_HAS_FLAGS: Final = 0x40
_MAX_DEPTH: Final = 64
"""Functions or tuples inside one another, at most."""
_MODULE: Final = "<module>"

_BYTECODE, _NATIVE, _VIPER, _ASM = range(4)
"""The kinds of functions."""
_HAS_CHILDREN: Final = 4
_KIND_BITS: Final = 3
_RELOCATES, _HAS_NATIVE_DATA, _HAS_ZEROED_DATA = 0x10, 0x20, 0x40
"""Flags of viper functions."""
_LAST_RELOCATION: Final = 0xFF
_LAST_SEGMENT: Final = 5
"""The last relocation that can have a count."""

_FUNCTION_TABLE, _NONE, _FALSE, _TRUE, _ELLIPSIS, _STR, _BYTES, _INT, _FLOAT, _COMPLEX, _TUPLE = range(11)
"""The kinds of constants."""


def mpy_sections(data: bytes) -> list[Section] | None:
    """Return the sections of a ``.mpy`` file in order and without gaps, or None if it is not one of version 6."""
    header = read_header(data)
    if header is None or header.version != MPY_VERSION:
        return None
    reader = _Reader(data)
    try:
        reader.module()
    except (ImageError, IndexError):
        return None
    return reader.sections


class _Prelude(NamedTuple):
    """The places of a function's header, line numbers, and code, and the number of its name in the table."""

    name: int
    lines: int
    cells: int
    code: int


class _Reader:
    """Reads a module from front to back; ``at`` is the end of what was read. Raises ImageError and IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.sections: list[Section] = []
        self.names: list[str] = []

    def module(self) -> None:
        self.at = _FIXED
        if self.data[2] & _HAS_FLAGS:
            self.number()
        names, constants = self.number(), self.number()
        self.end("module header")
        for _ in range(names):
            self.names.append(self.identifier())
        self.end("identifier", memory="flash")
        for _ in range(constants):
            self.constant(0)
        self.function(_MODULE, 0)
        self.at = len(self.data)
        self.end("unused")

    def number(self) -> int:
        value, self.at = read_number(self.data, self.at, len(self.data))
        return value

    def skip(self, size: int) -> int:
        """Return where the next ``size`` bytes begin, and go on after them."""
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise ImageError("the module is cut short", offset=start)
        return start

    def end(self, kind: str, part: str = "", memory: Memory = "", at: int | None = None) -> None:
        """End a section here, or at ``at``; it began where the last one ended."""
        last = self.sections[-1] if self.sections else Section(0, 0, "")
        start = last.start + last.size
        end = self.at if at is None else at
        if end <= start:
            return
        if self.sections and last[2:] == (kind, part, memory):
            self.sections[-1] = last._replace(size=end - last.start)
        else:
            self.sections.append(Section(start, end - start, kind, part, memory))

    def identifier(self) -> str:
        number = self.number()
        if number & 1:
            return static_name(number >> 1) or ""
        start = self.skip((number >> 1) + 1)
        return self.data[start : self.at - 1].decode(errors="replace")

    def constant(self, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ImageError("tuples are nested too deep", offset=self.at)
        kind = self.data[self.skip(1)]
        if kind in (_FUNCTION_TABLE, _NONE, _FALSE, _TRUE, _ELLIPSIS):
            self.end("constant")
        elif kind in (_STR, _BYTES):
            self.skip(self.number() + 1)
            self.end("constant", memory="flash")
        elif kind in (_INT, _FLOAT, _COMPLEX):
            self.skip(self.number())
            self.end("constant", memory="RAM")
        elif kind == _TUPLE:
            size = self.number()
            self.end("constant", memory="RAM")
            for _ in range(size):
                self.constant(depth + 1)
        else:
            raise ImageError("a constant of an unknown kind", offset=self.at - 1)

    def function(self, part: str, depth: int) -> None:
        """Read a function and those inside it. ``part`` is its name, if the code does not contain another."""
        if depth > _MAX_DEPTH:
            raise ImageError("functions are nested too deep", offset=self.at)
        first = self.number()
        start = self.skip(first >> _KIND_BITS)
        kind, begin, stop = first & 3, start, self.at
        if kind == _NATIVE:
            begin += self.number()
        prelude = self.prelude(begin, stop) if kind in (_BYTECODE, _NATIVE) else None
        if prelude is not None and depth:
            part = _qualified(part.rpartition(".")[0], self.names[prelude.name]) or part
        self.end("record", part, at=start)
        memory: Memory = "flash" if kind == _BYTECODE else "RAM"
        if prelude is not None:
            self.end("native code", part, memory, at=begin)
            self.end("function header", part, memory, at=prelude.lines)
            self.end("line numbers", part, memory, at=prelude.cells)
            self.end("function header", part, memory, at=prelude.code)
        self.end("bytecode" if kind == _BYTECODE else "native code", part, memory, at=stop)
        flags = self.native_data(kind, part) if kind in (_VIPER, _ASM) else 0
        children = self.number() if first & _HAS_CHILDREN else 0
        self.end("record", part)
        names = self.child_names(prelude.code, stop) if prelude is not None and kind == _BYTECODE else {}
        for number in range(children):
            name = names.get(number) or f"<function {number + 1}>"
            self.function(_qualified("" if part == _MODULE else part, name), depth + 1)
        if flags & _RELOCATES:
            self.relocations(part)

    def child_names(self, start: int, end: int) -> dict[int, str]:
        """Return the names that bytecode stores the functions inside it under."""
        try:
            stored = stored_names(self.data[start:end])
        except (ImageError, IndexError):
            return {}
        return {child: self.names[name] for child, name in stored.items() if name < len(self.names)}

    def native_data(self, kind: int, part: str) -> int:
        """Read the numbers and the data after the code of a viper or assembler function; return its flags."""
        flags = self.number()
        if kind == _ASM:
            self.number()
            self.number()
            return 0
        size = self.number() if flags & _HAS_NATIVE_DATA else 0
        if flags & _HAS_ZEROED_DATA:
            self.number()
        self.end("record", part)
        self.skip(size)
        self.end("native data", part, "RAM")
        return flags

    def relocations(self, part: str) -> None:
        while (step := self.data[self.skip(1)]) != _LAST_RELOCATION:
            if step & 1:
                self.number()
            target = step >> 1
            if target <= _LAST_SEGMENT and target & 1:
                self.number()
        self.end("relocations", part)

    def prelude(self, at: int, end: int) -> _Prelude | None:
        """Return the prelude of a function, which is followed by its bytecode, or by nothing where code is native.

        None if it makes no sense, as after native code that is too large for mpy-cross.
        """
        try:
            prelude = _read_prelude(self.data, at)
        except (ImageError, IndexError):
            return None
        return prelude if prelude.code <= end and prelude.name < len(self.names) else None


def _qualified(parent: str, name: str) -> str:
    """Return the name of a function inside another one, or ``""`` if it has no name."""
    if not name:
        return ""
    return f"{parent}.{name}" if parent else name


def _read_prelude(data: bytes, at: int) -> _Prelude:
    """Read a prelude. Raises ImageError and IndexError."""
    positional, keyword_only, at = _signature(data, at)
    info, cells, at = _sizes(data, at)
    lines_end = at + info
    name, at = read_number(data, at, lines_end)
    for _ in range(positional + keyword_only):
        _, at = read_number(data, at, lines_end)
    return _Prelude(name, at, lines_end, lines_end + cells)


def _signature(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the numbers of positional and keyword-only arguments, and the offset after the signature.

    The first byte has the bits xSSSSEAA, the others xFSSKAED; x means that another byte follows.
    """
    byte = data[at]
    at += 1
    positional, keyword_only, place = byte & 3, 0, 0
    while byte & 0x80:
        byte = data[at]
        at += 1
        positional |= (byte & 4) << place
        keyword_only |= ((byte & 8) >> 3) << place
        place += 1
    return positional, keyword_only, at


def _sizes(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the bytes of names and line numbers, those of closure cells, and the offset after both.

    Each byte has the bits xIIIIIIC.
    """
    info = cells = place = 0
    while True:
        byte = data[at]
        at += 1
        info |= ((byte & 0x7E) >> 1) << 6 * place
        cells |= (byte & 1) << place
        place += 1
        if byte < 0x80:  # noqa: PLR2004 - the high bit means that more follow
            return info, cells, at
