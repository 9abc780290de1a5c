"""``.mpy`` files that were compiled elsewhere: whether the board can load them.

What a board accepts is in ``py/persistentcode.c`` and ``py/persistentcode.h`` of MicroPython 1.29.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.compile.header import HEADER_SIZE, MPY_VERSION, MpyHeader, flag_bits, flag_names, read_header
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.layers import is_micropython
from hatch_romfs.settings.values import FLAGS_ARCH
from hatch_romfs.tree import MemoryContent, files, nested_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Mpy, Nested
    from hatch_romfs.tree import Directory, File

SUB_VERSION: Final = 3
"""The version of native code since MicroPython 1.23, and so of every release that mounts ROMFS."""
_SMALL_INT_BITS = 31
"""The size of small integers on boards, all of which have 32 bits."""
_HOST_ARCHS = ("x64", "rv64imc")
"""Architectures with 64 bits, which no board has."""
_ARM = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
"""A board with one of these also runs the code of those before it."""


def check_precompiled(tree: Directory, settings: Settings | Nested) -> None:
    """Refuse ``.mpy`` files that the target board cannot load.

    Nobody knows what reads a folder in Linux romfs, so there only files of manifests and packages are checked.
    """
    problems = {
        path: f"{file.origin} is {problem}" if file.origin.endswith(path) else f"{path}, {file.origin}, is {problem}"
        for path, file in _precompiled(tree)
        if (file.verbatim or is_micropython(settings)) and (problem := _problem(file, settings.mpy))
    }
    if problems:
        hint = "Use the .py file instead, or set tool.romfs.mpy.arch to the board's."
        if any(path in problems and file.layer == "base" for path, file in files(tree)):
            hint += " base-exclude removes a file of the base."
        raise BuildError(list(problems.values()), hint=hint)


def precompiled_warnings(tree: Directory, settings: Settings | Nested) -> Iterator[str]:
    """Yield a warning for each file from a folder that only some boards can load, if the settings name no board."""
    for image in nested_images(tree).values():
        yield from precompiled_warnings(image.tree, image.settings)
    arch = settings.mpy.arch if settings.mpy else None
    if arch is not None or not is_micropython(settings):
        return
    for path, file in _precompiled(tree):
        header = _header(file)
        if header and header.arch:
            yield f"{path} is {header.arch} code: other boards cannot load it; set tool.romfs.mpy.arch to check it"


def _precompiled(tree: Directory) -> Iterator[tuple[str, File]]:
    for path, file in files(tree):
        compiled = isinstance(file.content, MemoryContent) and file.content.compiler is not None
        if path.endswith(".mpy") and not compiled:
            yield path, file


def _header(file: File) -> MpyHeader | None:
    return read_header(_first_bytes(file))


def _first_bytes(file: File) -> bytes:
    return bytes(next(iter(file.content.chunks()), b"")[:HEADER_SIZE])


def _problem(file: File, mpy: Mpy | None) -> str | None:  # noqa: PLR0911 - one for each reason
    """Return why a board cannot load a file, in words that follow "is", or None."""
    header, arch = _header(file), mpy.arch if mpy else None
    if header is None:
        is_circuitpython = _first_bytes(file)[:1] == b"C"
        return "compiled for CircuitPython, not for MicroPython" if is_circuitpython else "not a .mpy file"
    if header.version != MPY_VERSION:
        return f".mpy version {header.version}; boards load {MPY_VERSION}"
    flags = mpy.arch_flags if mpy else None
    if header.flags is not None and (arch != FLAGS_ARCH or header.flags & ~flag_bits(flags)):
        needed = flag_names(header.flags)
        return f"code for {FLAGS_ARCH} with {needed}, and tool.romfs.mpy.arch-flags is {flags or 'not set'}"
    if header.arch is None:
        if header.small_int_bits <= _SMALL_INT_BITS or arch in _HOST_ARCHS:
            return None
        return f"compiled for integers of {header.small_int_bits} bits; boards have {_SMALL_INT_BITS}"
    if not _runs(header.arch, arch) and (arch is not None or file.verbatim):
        return f"{header.arch} code, and tool.romfs.mpy.arch is {arch or 'not set'}"
    if header.sub_version != SUB_VERSION and (mpy is None or mpy.micropython is None):
        return f"native code of version {MPY_VERSION}.{header.sub_version}; boards load {MPY_VERSION}.{SUB_VERSION}"
    return None


def _runs(arch: str, board: str | None) -> bool:
    """Return whether a board runs the code of an architecture."""
    if arch in _ARM and board in _ARM:
        return _ARM.index(arch) <= _ARM.index(board)
    return arch == board
