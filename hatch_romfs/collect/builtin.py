"""Modules in folders that have the name of a module in the firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# The names are those that MP_REGISTER_MODULE and MP_REGISTER_EXTENSIBLE_MODULE register in py, extmod, and the ports
# of MicroPython 1.29, without private ones. `py/builtinimport.c` looks for the first kind before any file, and for the
# second kind after all files. docs/how-to/understand-warnings-about-files.md lists both.
FIXED: Final = frozenset(
    (
        "btree", "builtins", "cmath", "deflate", "esp", "esp32", "framebuf", "gc", "lwip", "marshal", "math",
        "micropython", "mimxrt", "network", "openamp", "pyb", "rp2", "stm", "sys", "tls", "uctypes", "vfs", "weakref",
    )
)  # fmt: skip
"""Modules that firmware imports instead of a file."""
EXTENSIBLE: Final = frozenset(
    (
        "array", "binascii", "bluetooth", "collections", "cryptolib", "errno", "hashlib", "heapq", "io", "json",
        "machine", "os", "platform", "random", "re", "select", "socket", "string", "struct", "time", "websocket",
    )
)  # fmt: skip
"""Modules that a file replaces for everything on the board."""
_SUFFIXES = (".py", ".mpy")


def shadowing_warnings(paths: Iterable[str], lib_dir: str) -> list[str]:
    """Return a warning for each module or package, at the root or in ``lib_dir``, with the name of a built-in one."""
    prefix = f"{lib_dir.strip('/')}/" if lib_dir.strip("/") else ""
    found: dict[str, str] = {}
    for path in paths:
        if path.endswith(_SUFFIXES):
            start = prefix if prefix and path.startswith(prefix) else ""
            first = path.removeprefix(start).partition("/")[0]
            name = first.removesuffix(".py").removesuffix(".mpy")
            if name in FIXED or name in EXTENSIBLE:
                found[start + first] = name
    return [_warning(path, name) for path, name in sorted(found.items())]


def _warning(path: str, name: str) -> str:
    if name in FIXED:
        return f"{path} is never imported: boards import their built-in module {name!r}; rename it"
    return (
        f"{path} replaces the built-in module {name!r} for everything on the board; rename it if that is not intended"
    )
