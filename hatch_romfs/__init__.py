"""Reproducible ROMFS images as part of the build of an ordinary Python project.

This is the public API; each name is imported when it is first used. ``build`` makes an image, ``open_image``
looks into one, ``flash`` writes it to a board, and every failure is a ``RomfsError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_romfs.board.filesystem.compare import FilesystemListing, list_filesystem, verify_filesystem
    from hatch_romfs.board.filesystem.deploy import FilesystemResult, erase_filesystem, write_filesystem
    from hatch_romfs.board.flash import FlashResult, erase, flash
    from hatch_romfs.board.listing import PartitionListing, list_files
    from hatch_romfs.board.reading import query, read, verify
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.board.session import PortOptions
    from hatch_romfs.builder.api import build, build_all
    from hatch_romfs.builder.build import BuildResult
    from hatch_romfs.builder.bundle import BundleResult, bundle
    from hatch_romfs.errors import (
        BoardError,
        BuildError,
        ImageError,
        LinkError,
        RomfsError,
        SettingsError,
        VerifyError,
    )
    from hatch_romfs.events import Progress
    from hatch_romfs.formats import open_image
    from hatch_romfs.formats.c_source import CArray
    from hatch_romfs.formats.linux.image import LinuxImage
    from hatch_romfs.formats.micropython.image import RomImage
    from hatch_romfs.images.installed import installed_image
    from hatch_romfs.report.image_diff import image_diff
    from hatch_romfs.report.image_map import image_map

__all__ = [
    "BoardError",
    "BuildError",
    "BuildResult",
    "BundleResult",
    "CArray",
    "FilesystemListing",
    "FilesystemResult",
    "FlashResult",
    "ImageError",
    "LinkError",
    "LinuxImage",
    "PartitionListing",
    "PortOptions",
    "Progress",
    "Replacement",
    "RomImage",
    "RomfsError",
    "SettingsError",
    "VerifyError",
    "build",
    "build_all",
    "bundle",
    "erase",
    "erase_filesystem",
    "flash",
    "image_diff",
    "image_map",
    "installed_image",
    "list_files",
    "list_filesystem",
    "open_image",
    "query",
    "read",
    "verify",
    "verify_filesystem",
    "write_filesystem",
]

_MODULES = {
    **dict.fromkeys(("FilesystemListing", "list_filesystem", "verify_filesystem"), "board.filesystem.compare"),
    **dict.fromkeys(("FilesystemResult", "erase_filesystem", "write_filesystem"), "board.filesystem.deploy"),
    **dict.fromkeys(("FlashResult", "erase", "flash"), "board.flash"),
    **dict.fromkeys(("PartitionListing", "list_files"), "board.listing"),
    **dict.fromkeys(("query", "read", "verify"), "board.reading"),
    "Replacement": "board.replacing",
    "PortOptions": "board.session",
    **dict.fromkeys(("build", "build_all"), "builder.api"),
    "BuildResult": "builder.build",
    **dict.fromkeys(("BundleResult", "bundle"), "builder.bundle"),
    "Progress": "events",
    "open_image": "formats",
    "CArray": "formats.c_source",
    "LinuxImage": "formats.linux.image",
    "RomImage": "formats.micropython.image",
    "image_diff": "report.image_diff",
    "image_map": "report.image_map",
    "installed_image": "images.installed",
}


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - few users need it

        return version("hatch-romfs")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
