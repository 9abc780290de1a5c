"""The code of this package that the page runs in Pyodide, as a ZIP file: the same bytes everywhere."""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

CONTENT: Final = {
    "hatch_romfs": ("board", "builder", "collect", "compile", "formats", "images", "report", "settings", "web"),
    "romfs_manifest": ("shared",),
}
"""The packages in it, by the package around them, whose own modules are in it too."""
_SUFFIXES: Final = (".py", ".toml")
_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can contain."""
_UNIX: Final = 3
_MODE: Final = 0o100644 << 16


def python_zip() -> bytes:
    """Return the ZIP file.

    Nothing in it is compressed: releases of zlib compress the same data to different bytes.
    """
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(_find_files()):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system, info.external_attr = _UNIX, _MODE
            archive.writestr(info, data)
    return output.getvalue()


def _find_files() -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of each file."""
    for package, inner in CONTENT.items():
        for entry in files(package).iterdir():
            if entry.is_file() or entry.name in inner:
                yield from _walk(entry, package)


def _walk(entry: Traversable, parent: str) -> Iterator[tuple[str, bytes]]:
    path = f"{parent}/{entry.name}"
    if entry.is_file() and path.endswith(_SUFFIXES):
        yield path, entry.read_bytes()
    elif entry.is_dir():
        for inner in entry.iterdir():
            yield from _walk(inner, path)
