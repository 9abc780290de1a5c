"""Libraries: where ``require`` looks for a package, and which folder it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from romfs_manifest.disk import is_folder
from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

    from romfs_manifest.disk import Disk

OFFICIAL = ("micropython", "python-stdlib", "python-ecosys")
"""The folders of micropython-lib that are searched without being asked for, in this order."""


class Libraries:
    """Library folders in the order in which they are searched, and the packages in them."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._named: dict[str, Path] = {}
        self._order: list[Path] = []
        self._packages: dict[Path, dict[str, list[Path]]] = {}

    def add(self, name: str, folder: Path, *, prepend: bool = False) -> None:
        """Add a library; raises ManifestError where there is no such folder."""
        if not is_folder(folder):
            raise ManifestError(f"there is no folder {folder} for the library {name!r}", hint="Name one that is there.")
        self._named[name] = folder
        self._order.insert(0 if prepend else len(self._order), folder)

    def find(self, name: str, library: str | None) -> Path:
        """Return the manifest of the package ``name``, from ``library`` alone where that is given.

        Raises ManifestError where there is none, or where one library has two.
        """
        if library is not None and library not in self._named:
            known = f"There are {', '.join(self._named)}." if self._named else "There are none yet."
            raise ManifestError(f"there is no library {library!r}", hint=f"{known} add_library() adds one.")
        folders = self._order if library is None else [self._named[library]]
        for folder in folders:
            hits = self._in(folder).get(name, [])
            if len(hits) > 1:
                raise ManifestError(
                    f"the package {name!r} is twice in one library: {hits[0]} and {hits[1]}", hint="Remove one."
                )
            if hits:
                return hits[0] / "manifest.py"
        if not folders:
            raise ManifestError(
                f"there is no library yet that could have the package {name!r}",
                hint="Give the variable MPY_LIB_DIR the path of a micropython-lib checkout, or add a library.",
            )
        raise ManifestError(
            f"there is no package {name!r}, that is no folder of that name with a manifest.py, in "
            + ", ".join(map(str, folders)),
            hint="Check its name, or add the library that has it.",
        )

    def _in(self, library: Path) -> dict[str, list[Path]]:
        """Return the packages of a library by name, looked for once, in sorted order; links are not followed."""
        if library not in self._packages:
            packages: dict[str, list[Path]] = {}
            folders = [library]
            while folders:
                folder = folders.pop()
                listed = self._disk.listed(folder)
                if any(one.name == "manifest.py" and not one.is_folder for one in listed):
                    packages.setdefault(folder.name, []).append(folder)
                folders += (one.path for one in reversed(listed) if one.is_folder and not one.path.is_symlink())
            self._packages[library] = packages
        return self._packages[library]
