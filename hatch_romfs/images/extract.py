"""An image's files to a new folder on disk: all of them, or none and no folder."""

from __future__ import annotations

import contextlib
import ntpath
import os
import shutil
import stat
import tempfile
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BuildError, ImageError, SettingsError
from hatch_romfs.tree import Directory, File, Special, Symlink, files, kind_of, walk

if TYPE_CHECKING:
    from hatch_romfs.formats.image import Image


class ExtractResult(NamedTuple):
    """How many files were written, and what was left out: each path with what it is and why."""

    files: int
    skipped: tuple[str, ...]


def extract(image: Image, out: Path) -> ExtractResult:
    """Write everything that ``image`` holds into the folder ``out``.

    Devices, fifos, sockets and links that this system or this user may not make are skipped, and named.

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
            extracted = _write(image.root, passing / "new")
            with contextlib.suppress(FileNotFoundError):
                out.rmdir()
            (passing / "new").rename(out)
        finally:
            shutil.rmtree(passing, ignore_errors=True)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise BuildError(f"cannot extract to {out}: {error.strerror}{at}") from error
    return extracted


def _check_names(root: Directory) -> None:
    """Refuse names that mean something else to this system than to a board."""
    if os.name != "nt":
        return
    for path, _ in walk(root):
        name = path.rpartition("/")[2]
        reserved = ntpath.isreserved(name) if hasattr(ntpath, "isreserved") else PureWindowsPath(name).is_reserved()
        if set(name) & set('\\:*?"<>|') or min(name) < " " or name[-1] in ". " or reserved:
            raise ImageError(f"Windows cannot hold a file named {name!r}", offset=0)


def _write(root: Directory, folder: Path) -> ExtractResult:
    folder.mkdir()
    made: dict[int, Path] = {}
    skipped: list[str] = []
    count = 0
    # Links come last, so that nothing can be written through one.
    nodes = sorted(walk(root), key=lambda found: isinstance(found[1], Symlink))
    for path, node in nodes:
        target = folder / os.fsdecode(path.encode())  # whatever the locale is
        try:
            if isinstance(node, Directory):
                target.mkdir()
            elif isinstance(node, File):
                _write_file(node, target, made.get(id(node)))
            elif isinstance(node, Symlink | Special):
                _make(node, target)
        except (OSError, NotImplementedError, AttributeError) as error:
            if isinstance(node, File | Directory):
                raise
            why = error.strerror if isinstance(error, OSError) else "this system has none"
            skipped.append(f"{path}: {kind_of(node)}: {why}")
        else:
            made[id(node)] = target
            count += isinstance(node, File)
    return ExtractResult(count, tuple(skipped))


def _write_file(file: File, target: Path, first: Path | None) -> None:
    """Write a file, or give another name to the ``first`` where the disk can."""
    if first is not None:
        with contextlib.suppress(OSError):
            os.link(first, target)
            return
    with target.open("xb") as written:
        for chunk in file.content.chunks():
            written.write(chunk)
    if file.executable:
        mode = target.stat().st_mode
        target.chmod(mode | (mode & 0o444) >> 2)


def _make(node: Symlink | Special, target: Path) -> None:
    """Make a link or a special file; raises OSError or, on systems that know no such thing, AttributeError."""
    if isinstance(node, Symlink):
        target.symlink_to(node.target)
        return
    kind = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "block device": stat.S_IFBLK}.get(node.kind, stat.S_IFCHR)
    os.mknod(target, kind | 0o600, os.makedev(node.major, node.minor))
