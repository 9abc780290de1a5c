"""Names that ``.mpy`` files refer to by number, because every MicroPython contains them.

The numbers belong to version 6 of the format. Modules compiled with mpy-cross show them: a name that is missing from
the file's table of strings has a number there instead.
"""

from __future__ import annotations

from typing import Final

_FIRST_WORD: Final = 8
_WORDS: Final = """
_ __call__ __class__ __delitem__ __enter__ __exit__ __getattr__ __getitem__ __hash__ __init__ __int__ __iter__ __len__
__main__ __module__ __name__ __new__ __next__ __qualname__ __repr__ __setitem__ __str__ ArithmeticError AssertionError
AttributeError BaseException EOFError Ellipsis Exception GeneratorExit ImportError IndentationError IndexError KeyError
KeyboardInterrupt LookupError MemoryError NameError NoneType NotImplementedError OSError OverflowError RuntimeError
StopIteration SyntaxError SystemExit TypeError ValueError ZeroDivisionError abs all any append args bool builtins
bytearray bytecode bytes callable chr classmethod clear close const copy count dict dir divmod end endswith eval exec
extend find format from_bytes get getattr globals hasattr hash id index insert int isalpha isdigit isinstance islower
isspace issubclass isupper items iter join key keys len list little locals lower lstrip main map micropython next object
open ord pop popitem pow print range read readinto readline remove replace repr reverse rfind rindex round rsplit rstrip
self send sep set setattr setdefault sort sorted split start startswith staticmethod step stop str strip sum super throw
to_bytes tuple type update upper utf-8 value values write zip
""".split()  # noqa: SIM905 - a list literal would have a line for each name
_OTHERS: Final = {2: "__dir__", 7: "<module>"}


def static_name(number: int) -> str | None:
    """Return the name with this number, or None if there is none, or if no function can have it."""
    if _FIRST_WORD <= number < _FIRST_WORD + len(_WORDS):
        return _WORDS[number - _FIRST_WORD]
    return _OTHERS.get(number)
