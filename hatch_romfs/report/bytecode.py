"""What bytecode says about the functions inside it: where a function does not contain its name, its parent stores it.

The opcodes are those of ``py/bc0.h`` of MicroPython 1.29: four bits of each say what follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.formats.micropython.walk import read_number

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_NUMBER: Final = (1, 2, 3)
"""The high four bits of opcodes that a number follows, such as that of a name."""
_JUMP: Final = 4
"""The high four bits of opcodes that a distance of one or two bytes follows."""
_WITHOUT_EXTRA_BYTE: Final = 0x9E
"""If none of these bits is set in an opcode, a byte follows its argument."""
_MAKERS: Final = (0x20, 0x21, 0x32, 0x33)
"""The opcodes that make a function, also a closure or one with default arguments."""
_CALL: Final = 0x34
"""Calls a function, such as a decorator."""
_STORES: Final = (0x16, 0x17)
"""The opcodes that store a value under a name."""


def stored_names(code: bytes) -> dict[int, int]:
    """Return the number of the name that ``code`` gives to each function it makes, by the number of the function.

    Raises ImageError and IndexError if the code is cut short.
    """
    names: dict[int, int] = {}
    made: int | None = None
    for opcode, argument in _instructions(code):
        if opcode in _MAKERS:
            made = argument
        elif opcode in _STORES and made is not None:
            names[made] = argument
            made = None
        elif opcode != _CALL:
            made = None
    return names


def _instructions(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield each opcode with its argument, 0 if it has none."""
    at = 0
    while at < len(code):
        opcode, argument = code[at], 0
        at += 1
        if opcode >> 4 in _WITH_NUMBER:
            argument, at = read_number(code, at, len(code))
        elif opcode >> 4 == _JUMP:
            at += 2 if code[at] & 0x80 else 1
        if not opcode & _WITHOUT_EXTRA_BYTE:
            at += 1
        yield opcode, argument
