"""Modules that a board finds in more than one place: only the first one is ever imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULES = (".py", ".mpy")


def repeated_modules(paths: Iterable[str], lib_dir: str, frozen: Iterable[str]) -> list[str]:
    """Return a warning for each module or package that firmware, the root, and ``lib_dir`` contain more than once.

    ``paths`` are those of all files in the image, and ``frozen`` the modules in the firmware, without suffixes.
    MicroPython searches the firmware first, then the root of the image, then its ``lib``.
    """
    prefix = f"{lib_dir.strip('/')}/" if lib_dir.strip("/") else ""
    root: dict[str, str] = {}
    lib: dict[str, str] = {}
    for path in paths:
        if path.endswith(_MODULES):
            in_lib = bool(prefix) and path.startswith(prefix)
            first = path.removeprefix(prefix if in_lib else "").partition("/")[0]
            (lib if in_lib else root)[_name(first)] = f"/{prefix if in_lib else ''}{first}"
    firmware = {_name(module.partition("/")[0]): "the firmware" for module in frozen}
    warnings = []
    for name in sorted({*root, *lib}):
        places = [found[name] for found in (firmware, root, lib) if name in found]
        if len(places) > 1:
            hidden = " and ".join(places[1:])
            warnings.append(f"the module {name!r} in {places[0]} hides the one in {hidden}: remove one of them")
    return warnings


def _name(path: str) -> str:
    for suffix in _MODULES:
        path = path.removesuffix(suffix)
    return path
