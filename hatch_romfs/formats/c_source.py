"""An image as C source: an array to compile into firmware, its length, and a header that declares both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ALIGNMENT = 16
"""The alignment of the array in bytes, at least: that of Linux romfs. Files that need more get more."""
_CONST = b"const unsigned char "
_MARK = b"/* ROMFS image"
C_STARTS = (_CONST, _MARK)
"""The first bytes of sources and headers: nothing else is overwritten."""
_PER_LINE = 16


_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register"  # noqa: SIM905
    " restrict return short signed sizeof static struct switch typedef union unsigned void volatile while".split()
)


class CArray(NamedTuple):
    """An array in C: its name, its linker section, or None for the default, and whether it is ``const``.

    With ``header``, a header beside the source declares it.
    """

    symbol: str = "romfs_image"
    section: str | None = None
    const: bool = True
    header: bool = False

    def header_path(self, source: Path) -> Path | None:
        """Return the path of the header beside ``source``, or None if there is none."""
        return source.with_suffix(".h") if self.header else None

    def check(self) -> None:
        """Raise SettingsError for names that C or the linker does not accept."""
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", self.symbol) or self.symbol in _KEYWORDS:
            raise SettingsError(f"--symbol: {self.symbol!r} is not a valid name in C")
        if self.section is not None and not re.fullmatch(r"[A-Za-z0-9_.$-]+", self.section):
            raise SettingsError(
                f"--section: {self.section!r} is not a valid section name", hint="--section .rodata.romfs"
            )


def c_source(chunks: Iterable[bytes | memoryview], size: int, array: CArray, alignment: int) -> Iterator[bytes]:
    """Yield the source of an array of ``size`` bytes, aligned to ``alignment`` bytes, and of its length.

    The attributes are those of GCC and Clang. Chunks can have any size.
    """
    attributes = f"aligned({max(ALIGNMENT, alignment)})"
    if array.section:
        attributes += f', section("{array.section}")'
    yield _CONST if array.const else _MARK + b" that can be changed */\nunsigned char "
    yield f"{array.symbol}[{size}] __attribute__(({attributes})) = {{\n".encode()
    waiting = b""
    for chunk in chunks:
        waiting += bytes(chunk)
        whole = len(waiting) - len(waiting) % _PER_LINE
        yield _lines(waiting[:whole])
        waiting = waiting[whole:]
    yield _lines(waiting)
    yield f"}};\nconst unsigned int {array.symbol}_len = {size};\n".encode()


def c_header(size: int, array: CArray) -> bytes:
    """Return the header that declares the array and its length, for C and C++."""
    guard = f"ROMFS_{array.symbol.upper()}_H"
    kind = "const unsigned char" if array.const else "unsigned char"
    lines = (
        f"{_MARK.decode()} {array.symbol} */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        f"extern {kind} {array.symbol}[{size}];",
        f"extern const unsigned int {array.symbol}_len;",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(data: bytes) -> bytes:
    lines = (data[start : start + _PER_LINE] for start in range(0, len(data), _PER_LINE))
    return "".join(f"  {','.join(f'0x{byte:02x}' for byte in line)},\n" for line in lines).encode()
