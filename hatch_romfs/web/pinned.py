"""The release of Pyodide that the page runs on: Python in the browser, pinned by the hashes of its files.

To pin another release, run ``npm pack pyodide@VERSION``, unpack it, and take the sizes and hashes of these files, and
``info`` of its ``pyodide-lock.json``.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from hatch_romfs.errors import SettingsError
from romfs_manifest.shared.opening import read_regular

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = "314.0.8"
URL: Final = f"https://cdn.jsdelivr.net/npm/pyodide@{VERSION}/"
"""Where the page loads Pyodide from by default: jsDelivr's copy of the npm package, the same bytes for ever."""
LOCK: Final = {
    "arch": "wasm32",
    "platform": "emscripten_5_0_3",
    "version": VERSION,
    "python": "3.14.2",
    "abi_version": "2026_0",
}
"""What Pyodide wants to know about its packages, of which the page loads none."""


class PinnedFile(NamedTuple):
    """A file of Pyodide: its size in bytes, and its hash in the form of Subresource Integrity."""

    size: int
    integrity: str


FILES: Final = {
    "pyodide.mjs": PinnedFile(17758, "sha384-VR+eYp8LZKGhhQ7Nql3TONJIMizM0VRxz87k6V7IyuQHElicjy7ULmkOuB2LFR3b"),
    "pyodide.asm.mjs": PinnedFile(1250259, "sha384-zZV4ZBUhsbFzcmaHqwfipWI/BS8YH7Duesu1Rrtyx1HRqFAyz+Mt/HRiMtNyWdwU"),
    "pyodide.asm.wasm": PinnedFile(9597892, "sha384-L3e25SSwmf8Q0I8qcgGD/PNkK1wyivO8lWFSko3xXQZ8uLNcYkZXJlX8LU3oVH/o"),
    "python_stdlib.zip": PinnedFile(2545550, "sha384-ShW1Tjb4ytDLumQGuwRa/PTLxHcN6agBzp2wIRZSJNK8tEt2QMRDnG69N58KhHqM"),
}
"""The files that the page loads, measured in the npm package."""
MODULES: Final = ("pyodide.mjs", "pyodide.asm.mjs")
"""Those that are JavaScript modules."""
_HINT: Final = f"Run 'npm pack pyodide@{VERSION}', unpack what it downloads, and name the folder 'package' in it."
_MAX_DESCRIPTION: Final = 1 << 20


def integrity(data: bytes) -> str:
    """Return the SHA-384 of bytes in the form of Subresource Integrity."""
    return f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode()}"


def read_pyodide(folder: Path) -> dict[str, bytes]:
    """Return the files of Pyodide in a folder, by name. Raises SettingsError unless they are those of this release."""
    return {name: _read(folder, name, pinned) for name, pinned in FILES.items()}


def _read(folder: Path, name: str, pinned: PinnedFile) -> bytes:
    try:
        data = read_regular(folder / name, pinned.size)
    except FileNotFoundError:
        if not folder.is_dir():
            raise SettingsError(f"--bundle: {folder} is not a folder", hint=_HINT) from None
        raise SettingsError(f"--bundle: {folder} has no {name}, a file of Pyodide", hint=_HINT) from None
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise SettingsError(f"--bundle: cannot read {folder / name}: {error.strerror}") from error
        data = b""
    if integrity(data) == pinned.integrity:
        return data
    found = _version(folder)
    if found not in (None, VERSION):
        raise SettingsError(f"--bundle: {folder} is Pyodide {found}; the page needs {VERSION}", hint=_HINT)
    raise SettingsError(f"--bundle: {folder / name} is not that of Pyodide {VERSION}: its hash differs", hint=_HINT)


def _version(folder: Path) -> str | None:
    """Return the version that the folder of an npm package states, or None."""
    try:
        found = json.loads(read_regular(folder / "package.json", _MAX_DESCRIPTION)).get("version")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
