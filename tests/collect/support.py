"""Projects on disk, and what is collected from them."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_romfs.collect.sources import CollectResult, collect, collect_folder
from hatch_romfs.errors import RomfsError
from hatch_romfs.tree import Directory, walk
from tests.settings.support import settings_of

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files, or wants rights to make them")
NOBODY = 65534


def write_files(folder: Path, *paths: str, data: str = "") -> Path:
    """Make files, or folders where a path ends in a slash."""
    for path in paths:
        target = folder / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.write_text(data or path, encoding="utf-8")
    return folder


def collected(root: Path, **table: object) -> CollectResult:
    return collect(settings_of({key.replace("_", "-"): value for key, value in table.items()}), root)


def listed(root: Path, **table: object) -> list[str]:
    return listing(collected(root, **table).tree)


def listing(tree: Directory) -> list[str]:
    """List a tree's paths in its order, those of folders with a slash at the end."""
    return [f"{path}/" if isinstance(node, Directory) else path for path, node in walk(tree)]


def failure(root: Path, *, plain: bool = False, **table: object) -> str:
    """Return what is said of a project, or of a plain folder, that cannot be collected."""
    with pytest.raises(RomfsError) as caught:
        collect_folder(settings_of(table), root) if plain else collected(root, **table)
    return str(caught.value)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Take all rights to a path away; root loses them by being someone else meanwhile."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        for folder in path.parents:
            if not folder.stat().st_mode & stat.S_IXOTH:
                path.chmod(mode)
                pytest.skip(f"nobody but root reaches {folder}")
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(mode)
