"""Libraries: the folders in which ``require`` looks for packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError, MissingFileError
from romfs_manifest.manifest.folders import is_folder

if TYPE_CHECKING:
    from pathlib import Path

    from romfs_manifest.manifest.folders import FolderReader

OFFICIAL = ("micropython", "python-stdlib", "python-ecosys")
"""Folders of micropython-lib that are always searched, in this order."""


class Libraries:
    """Library folders in the order in which they are searched, and the packages in them."""

    def __init__(self, reader: FolderReader) -> None:
        self._reader = reader
        self._named: dict[str, Path] = {}
        self._order: list[Path] = []
        self._packages: dict[Path, dict[str, list[Path]]] = {}

    def add(self, name: str, folder: Path, *, prepend: bool = False) -> None:
        """Add a library; raises MissingFileError if there is no such folder."""
        if not is_folder(folder):
            hint = "Name an existing folder."
            raise MissingFileError(f"the folder {folder} of the library {name!r} does not exist", hint=hint)
        self._named[name] = folder
        self._order.insert(0 if prepend else len(self._order), folder)

    def find(self, name: str, library: str | None) -> Path:
        """Return the manifest of the package ``name``; with ``library``, from that library only.

        Raises MissingFileError if there is none, and ManifestError if one library contains two.
        """
        if library is not None and library not in self._named:
            known = f"The libraries are {', '.join(self._named)}." if self._named else "No library was added yet."
            raise MissingFileError(f"there is no library {library!r}", hint=f"{known} Add one with add_library().")
        folders = self._order if library is None else [self._named[library]]
        for folder in folders:
            hits = self._packages_in(folder).get(name, [])
            if len(hits) > 1:
                raise ManifestError(
                    f"the library contains the package {name!r} twice: {hits[0]} and {hits[1]}",
                    hint="Remove one of them.",
                )
            if hits:
                return hits[0] / "manifest.py"
        if not folders:
            raise MissingFileError(
                f"there is no library that could contain the package {name!r}",
                hint="Set the variable MPY_LIB_DIR to the path of a micropython-lib checkout, or add a library.",
            )
        searched = ", ".join(map(str, folders))
        raise MissingFileError(
            f"no package {name!r} (a folder of that name with a manifest.py) in {searched}",
            hint="Check its name, or add the library that contains it.",
        )

    def _packages_in(self, library: Path) -> dict[str, list[Path]]:
        """Return the packages of a library by name, in sorted order. Links are not followed; the result is kept."""
        if library not in self._packages:
            packages: dict[str, list[Path]] = {}
            folders = [library]
            while folders:
                folder = folders.pop()
                listed = self._reader.list(folder)
                if any(one.name == "manifest.py" and not one.is_folder for one in listed):
                    packages.setdefault(folder.name, []).append(folder)
                folders += (one.path for one in reversed(listed) if one.is_folder and not one.path.is_symlink())
            self._packages[library] = packages
        return self._packages[library]
