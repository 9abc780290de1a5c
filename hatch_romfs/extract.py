"""An image's files to a new folder on disk: all of them, or none and no folder."""

from __future__ import annotations

import contextlib
import ntpath
import os
import shutil
import tempfile
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError, ImageError, SettingsError
from hatch_romfs.tree import Directory, files, walk

if TYPE_CHECKING:
    from hatch_romfs.formats.image import Image


def extract(image: Image, out: Path) -> int:
    """Write everything that ``image`` holds into the folder ``out``, and return how many files that was.

    ``out`` must be missing or empty: then no name in the image, and no link, can lead to a file that is there
    already. Raises SettingsError where it is not, ImageError for names that this system cannot hold, and
    BuildError where the disk does not take it.
    """
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise SettingsError(f"{out} is there already, and not an empty folder", hint="Name another folder.")
    _check_names(image.root)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Equal data may be stored once for any number of files, so that an image can grow without bounds here.
        needed, free = sum(file.size for _, file in files(image.root)), shutil.disk_usage(out.parent).free
        if needed > free:
            raise BuildError(f"the files take {needed:,} bytes, and {out.parent} has {free:,} left")
        passing = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            count = _write(image.root, passing / "new")
            with contextlib.suppress(FileNotFoundError):
                out.rmdir()
            (passing / "new").rename(out)
        finally:
            shutil.rmtree(passing, ignore_errors=True)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise BuildError(f"cannot extract to {out}: {error.strerror}{at}") from error
    return count


def _check_names(root: Directory) -> None:
    """Refuse names that mean something else to this system than to a board."""
    if os.name != "nt":
        return
    for path, _ in walk(root):
        name = path.rpartition("/")[2]
        reserved = ntpath.isreserved(name) if hasattr(ntpath, "isreserved") else PureWindowsPath(name).is_reserved()
        if set(name) & set('\\:*?"<>|') or min(name) < " " or name[-1] in ". " or reserved:
            raise ImageError(f"Windows cannot hold a file named {name!r}", offset=0)


def _write(root: Directory, folder: Path) -> int:
    folder.mkdir()
    count = 0
    for path, node in walk(root):
        target = folder.joinpath(*path.split("/"))
        if isinstance(node, Directory):
            target.mkdir()
            continue
        with target.open("xb") as file:
            for chunk in node.content.chunks():
                file.write(chunk)
        count += 1
    return count
