"""Reproducible ROMFS images as part of the build of an ordinary Python project.

This is the public API; each name is imported when it is first used. ``build`` makes an image, ``open_image``
looks into one, and every failure is a ``RomfsError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_romfs.api import build
    from hatch_romfs.errors import BuildError, ImageError, RomfsError, SettingsError
    from hatch_romfs.formats import open_image
    from hatch_romfs.formats.micropython.image import RomImage
    from hatch_romfs.pipeline import Built

__all__ = ["BuildError", "Built", "ImageError", "RomImage", "RomfsError", "SettingsError", "build", "open_image"]

_HOMES = {
    "build": "hatch_romfs.api",
    "Built": "hatch_romfs.pipeline",
    "RomImage": "hatch_romfs.formats.micropython.image",
    "open_image": "hatch_romfs.formats",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES.get(name, "hatch_romfs.errors")), name)
