"""Extracting an image to a new folder: all files, or none and no folder."""

from __future__ import annotations

import contextlib
import ntpath
import os
import shutil
import stat
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BuildError, ImageError, SettingsError
from hatch_romfs.paths import encode_name, name_problem, show_name
from hatch_romfs.tree import Directory, File, Special, Symlink, files, kind_of, walk
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_romfs.formats.image import Image


class ExtractResult(NamedTuple):
    """The number of files that were written, and what was skipped: each path with its kind and the reason."""

    files: int
    skipped: tuple[str, ...]


def extract(image: Image, out: Path) -> ExtractResult:
    """Write everything in ``image`` to the folder ``out``.

    Devices, fifos, sockets, and links that this system or user cannot create are skipped.

    ``out`` must not exist, or be empty: then no name in the image, and no link, can lead to an existing file. Raises
    SettingsError if it is not, ImageError for names that this system does not allow, and BuildError if the disk is
    full or cannot be written.
    """
    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise SettingsError(f"{out} already exists and is not an empty folder", hint="Choose another folder.")
    _check_names(image.root)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # An image can store equal data once for any number of files, so it can be much smaller than its content.
        needed, free = sum(file.size for _, file in files(image.root)), shutil.disk_usage(out.parent).free
        if needed > free:
            raise BuildError(f"the files need {needed:,} bytes, and {out.parent} has only {free:,} free")
        with TemporaryFolder(out.parent, f".{out.name}.") as temporary:
            extracted = _write(image.root, temporary / "new")
            with contextlib.suppress(FileNotFoundError):
                out.rmdir()
            (temporary / "new").rename(out)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise BuildError(f"cannot extract to {out}: {error.strerror}{at}") from error
    return extracted


def _check_names(root: Directory) -> None:
    """Refuse names that this system would treat differently than a board does."""
    if os.name != "nt":
        return
    for path, _ in walk(root):
        name = path.rpartition("/")[2]
        reserved = ntpath.isreserved(name) if hasattr(ntpath, "isreserved") else PureWindowsPath(name).is_reserved()
        if set(name) & set('\\:*?"<>|') or min(name) < " " or name[-1] in ". " or reserved or name_problem(name):
            raise ImageError(f"Windows does not allow a file named {show_name(name)!r}", offset=0)


def _write(root: Directory, folder: Path) -> ExtractResult:
    folder.mkdir()
    written: dict[int, Path] = {}
    skipped: list[str] = []
    count = 0
    # Links come last, so that nothing can be written through one.
    nodes = sorted(walk(root), key=lambda found: isinstance(found[1], Symlink))
    for path, node in nodes:
        target = folder / os.fsdecode(encode_name(path))  # independent of the locale
        try:
            if isinstance(node, Directory):
                target.mkdir()
            elif isinstance(node, File):
                _write_file(node, target, written.get(id(node)))
            elif isinstance(node, Symlink | Special):
                _create(node, target)
        except (OSError, NotImplementedError, AttributeError) as error:
            if isinstance(node, File | Directory):
                raise
            why = error.strerror if isinstance(error, OSError) else "not supported on this system"
            skipped.append(f"{show_name(path)}: {kind_of(node)}: {why}")
        else:
            written[id(node)] = target
            count += isinstance(node, File)
    return ExtractResult(count, tuple(skipped))


def _write_file(file: File, target: Path, first: Path | None) -> None:
    """Write a file, or add a hard link to the ``first`` of its names if the disk supports that."""
    if first is not None:
        with contextlib.suppress(OSError):
            os.link(first, target)
            return
    with target.open("xb") as output:
        for chunk in file.content.chunks():
            output.write(chunk)
    if file.executable:
        mode = target.stat().st_mode
        target.chmod(mode | (mode & 0o444) >> 2)


def _create(node: Symlink | Special, target: Path) -> None:
    """Create a link or a special file. Raises OSError, or AttributeError on systems without them."""
    if isinstance(node, Symlink):
        target.symlink_to(os.fsdecode(encode_name(node.target)))
        return
    kind = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "block device": stat.S_IFBLK}.get(node.kind, stat.S_IFCHR)
    os.mknod(target, kind | 0o600, os.makedev(node.major, node.minor))
