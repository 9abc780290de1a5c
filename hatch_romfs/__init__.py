"""Reproducible ROMFS images as part of the build of an ordinary Python project.

This is the public API; each name is imported when it is first used. ``build`` makes an image, ``open_image``
looks into one, ``flash`` writes it to a board, and every failure is a ``RomfsError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_romfs.api import build, build_all
    from hatch_romfs.board.flash import Flashed, erase, flash, query, read, verify
    from hatch_romfs.board.listing import Listed, list_files
    from hatch_romfs.board.session import PortOptions
    from hatch_romfs.emit import CArray
    from hatch_romfs.errors import (
        BoardError,
        BuildError,
        ImageError,
        LinkError,
        RomfsError,
        SettingsError,
        VerifyError,
    )
    from hatch_romfs.formats import open_image
    from hatch_romfs.formats.linux.image import LinuxImage
    from hatch_romfs.formats.micropython.image import RomImage
    from hatch_romfs.installed import installed_image
    from hatch_romfs.pipeline import Built

__all__ = [
    "BoardError",
    "BuildError",
    "Built",
    "CArray",
    "Flashed",
    "ImageError",
    "LinkError",
    "LinuxImage",
    "Listed",
    "PortOptions",
    "RomImage",
    "RomfsError",
    "SettingsError",
    "VerifyError",
    "build",
    "build_all",
    "erase",
    "flash",
    "installed_image",
    "list_files",
    "open_image",
    "query",
    "read",
    "verify",
]

_HOMES = {
    **dict.fromkeys(("Flashed", "erase", "flash", "query", "read", "verify"), "hatch_romfs.board.flash"),
    **dict.fromkeys(("Listed", "list_files"), "hatch_romfs.board.listing"),
    "CArray": "hatch_romfs.emit",
    "LinuxImage": "hatch_romfs.formats.linux.image",
    "Built": "hatch_romfs.pipeline",
    "PortOptions": "hatch_romfs.board.session",
    "RomImage": "hatch_romfs.formats.micropython.image",
    "build": "hatch_romfs.api",
    "build_all": "hatch_romfs.api",
    "installed_image": "hatch_romfs.installed",
    "open_image": "hatch_romfs.formats",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES.get(name, "hatch_romfs.errors")), name)
