"""Writing the page as a folder, which replaces an older one in one step, and never anything else."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatch_romfs.builder.links import resolve_output
from hatch_romfs.builder.output import check_output_folder
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.web.marker import normalize, read_marker
from hatch_romfs.web.page import INDEX
from romfs_manifest.shared.opening import identity, read_regular
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from romfs_manifest.shared.opening import Identity

_MAX_INDEX: Final = 4 << 20
_LEFTOVERS: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that systems put into folders that are looked at."""
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST)
_ATTEMPTS: Final = 100


def check_page_folder(out: Path) -> None:
    """Refuse to replace a folder that is not an older page, or that contains anything else as well.

    Raises SettingsError, and BuildError if the folder cannot be read.
    """
    check_output_folder(out.parent)
    try:
        target = resolve_output(out)
        if Path.cwd().resolve().is_relative_to(target):
            raise SettingsError(
                f"{out} contains the current folder, which cannot be replaced", hint="Choose another output."
            )
        _check_unless_replaced(target, out)
    except OSError as error:
        raise BuildError(f"cannot read {out}, which the page would replace: {error.strerror}") from error


def _check_unless_replaced(target: Path, out: Path) -> None:
    """Check the content of a folder, again if another process replaces it meanwhile. Raises SettingsError, OSError."""
    for _ in range(_ATTEMPTS):
        found = _identity(target)
        try:
            if os.path.lexists(target):
                _check_content(target, out)
        except (SettingsError, FileNotFoundError):
            if _identity(target) == found:
                raise
        else:
            return


def _identity(path: Path) -> Identity | None:
    try:
        return identity(path.lstat())
    except FileNotFoundError:
        return None


def replace_page(out: Path, content: Mapping[str, bytes]) -> None:
    """Write the files of a page, by path, to the folder ``out``; it is replaced at the end, if it is an older page.

    A failure leaves the older one. Raises SettingsError if ``out`` is anything else, and BuildError if the disk is full
    or cannot be written.
    """
    try:
        target = resolve_output(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFolder(target.parent, f".{target.name}.") as temporary:
            _write(temporary / "new", content)
            _swap(temporary, target, out)
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def _write(folder: Path, content: Mapping[str, bytes]) -> None:
    for path, data in content.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as output:
            output.write(data)


def _swap(temporary: Path, target: Path, out: Path) -> None:
    """Replace ``target`` by the folder ``new`` in ``temporary``. Raises SettingsError and OSError.

    No system replaces a folder that has content, so the old one is moved away first, and back if anything fails. Other
    processes may do the same at the same time: the last one wins.
    """
    for attempt in range(_ATTEMPTS):
        old = temporary / f"old-{attempt}"
        try:
            with contextlib.suppress(FileNotFoundError):
                target.rename(old)
            if old.exists():
                _check_content(old, out)
            (temporary / "new").rename(target)
        except BaseException as error:
            _put_back(old, target, keep=isinstance(error, SettingsError))
            if not isinstance(error, OSError) or error.errno not in _TAKEN or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _put_back(old: Path, target: Path, *, keep: bool) -> None:
    """Move a folder back to its place. If that was taken meanwhile, with ``keep`` the folder goes beside it."""
    beside = [target.with_name(f"{target.name}.{number}") for number in range(1, _ATTEMPTS)] if keep else []
    for place in (target, *beside):
        with contextlib.suppress(OSError):
            old.rename(place)
            return


def _check_content(folder: Path, out: Path) -> None:
    """Refuse a folder with anything but the files of a page. Messages call it ``out``. Raises SettingsError."""
    hint = "Choose another folder."
    if not folder.is_dir():
        raise SettingsError(f"{out} already exists and is not a folder", hint=hint)
    if not any(folder.iterdir()):
        return
    own = _page_files(folder)
    if own is None:
        raise SettingsError(f"{out} already exists and is not a page of this command", hint=hint)
    for parent, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted((*names, *links)):
            path = (Path(parent) / name).relative_to(folder).as_posix()
            if name not in _LEFTOVERS and normalize(path) not in own:
                raise SettingsError(
                    f"{out} contains {path}, which is not part of the page", hint="Move it, or choose another output."
                )


def _raise(error: OSError) -> None:
    raise error


def _page_files(folder: Path) -> set[str] | None:
    """Return the paths of the files that a page consists of, or None if the folder has none."""
    try:
        return read_marker(read_regular(folder / INDEX, _MAX_INDEX))
    except OSError:
        return None
