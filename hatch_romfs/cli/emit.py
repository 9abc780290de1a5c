"""The options of ``romfs-image build --emit c``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.formats.c_source import CArray

_DEFAULTS: dict[str, Any] = {"symbol": None, "section": None, "const": True, "header": False}


def add_emit_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--emit``, and what describes the array."""
    add = parser.add_argument
    add("--emit", choices=("c",), help="write the image as an array in C; SOURCE can then also be an image file")
    add("--symbol", metavar="NAME", help="the name of the array in C; by default romfs_image")
    add("--section", metavar="NAME", help="the linker section of the array")
    add("--no-const", dest="const", action="store_false", help="an array that is not const, such as for RAM")
    add("--header", action="store_true", help="also write a header that declares the array and its length")


def read_array(options: argparse.Namespace) -> CArray | None:
    """Return the array that the options ask for, or None. Raises SettingsError."""
    given = {name: value for name, default in _DEFAULTS.items() if (value := getattr(options, name)) != default}
    if options.emit:
        from hatch_romfs.formats.c_source import CArray  # noqa: PLC0415 - few builds end in C source

        return CArray(**given)
    if given:
        name = next(iter(given))
        raise SettingsError(f"--{'no-const' if name == 'const' else name} needs --emit c")
    return None
