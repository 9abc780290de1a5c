"""How locks of packages look: lines for people, documents for machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.cli.show import count

if TYPE_CHECKING:
    from romfs_manifest import Lock


def summarize_lock(path: Path, lock: Lock) -> str:
    """Return a line about a lock."""
    files = [file for package in lock.packages for file in package.files]
    size = sum(file.size for file in files)
    return f"{path}: {count(len(lock.packages), 'package')}, {count(len(files), 'file')}, {size:,} bytes"


def list_changes(before: Lock | None, after: Lock, *, everything: bool) -> list[str]:
    """Return a line for each package that was added or removed; with ``everything``, also for the others."""
    old, new = set(before.packages if before else ()), set(after.packages)
    marks = [(package, "-") for package in old - new] + [(package, "+") for package in new - old]
    marks += [(package, " ") for package in old & new if everything]
    return [f"{mark} {package}" for package, mark in sorted(marks)]


def lock_document(path: Path, lock: Lock) -> dict[str, Any]:
    """Return what a lock contains, for machines."""
    packages = [
        {"name": package.name, "version": package.version, "files": len(package.files)} for package in lock.packages
    ]
    return {"path": str(path), "index": lock.index_url, "packages": packages}


def relative_path(folder: Path, project: Path) -> str:
    """Return the path of a folder from a project; that is how a lock names it."""
    try:
        return Path(os.path.relpath(folder, project)).as_posix()
    except ValueError:  # another drive
        return folder.resolve().as_posix()
