"""Writing what a build makes: an output is replaced in one step, and nothing else is ever overwritten."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hatch_romfs.builder.links import resolve_output
from hatch_romfs.errors import BuildError, ImageError, SettingsError
from hatch_romfs.formats import open_image
from romfs_manifest.shared.atomic import replace_atomically
from romfs_manifest.shared.opening import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Chunks: TypeAlias = "Iterable[bytes | memoryview]"


def check_replaceable(out: Path, what: str, *magics: bytes) -> None:
    """Refuse to overwrite a file that is not ``what`` a build writes: it must be empty or start with a magic.

    Raises SettingsError, or BuildError if the file cannot be read.
    """
    try:
        target = resolve_output(out)
        check_output_folder(out.parent)
        if not target.exists():
            return
        if not target.is_file():
            raise SettingsError(f"{out} already exists and is not a file", hint="Choose another output.")
        with open(open_regular(target), "rb") as file:  # noqa: PTH123 - a descriptor
            start = file.read(max(map(len, magics)))
    except OSError as error:
        raise BuildError(f"cannot read {out}, which the build would replace: {error.strerror}") from error
    if start and not start.startswith(magics):
        article = "an" if what[0].lower() in "aeiou" else "a"
        raise SettingsError(
            f"{out} already exists and is not {article} {what}", hint="Choose another output, or remove this file."
        )


def check_output_folder(folder: Path) -> None:
    """Raise SettingsError if a file is where a folder for output should be, or where one above it should be."""
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if existing is not None and not existing.is_dir():
        raise SettingsError(
            f"{existing} is not a folder, so nothing can be written into it",
            hint="Remove or rename it, or choose another output.",
        )


def check_owner(out: Path, name: str) -> None:
    """Refuse to overwrite the image of another project, such as that of another member of a workspace.

    Raises SettingsError. An image without metadata, or a damaged one, belongs to nobody.
    """
    if not out.exists():
        return
    with contextlib.suppress(ImageError), open_image(out) as image:
        if image.format == "micropython" and image.name not in (None, name):
            raise SettingsError(
                f"{out} already exists and is the image of {image.name}, not of {name}",
                hint="Set `filename` or `directory` in one of the two projects. If this project was renamed, remove the"
                " file.",
            )


def place(staging: Path, outputs: Iterable[Path]) -> None:
    """Put the outputs of a build that were written to ``staging`` in their places. Raises BuildError."""
    for out in outputs:
        with replace_output(out) as temporary:
            shutil.copyfile(staging / out.name, temporary)


@contextlib.contextmanager
def replace_output(out: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``out`` that replaces it after the block. Raises BuildError.

    Without ``replace``, raises SettingsError if ``out`` already exists after the block.
    """
    try:
        out = resolve_output(out)  # a link stays a link: its target is replaced
        out.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(out, move=None if replace else _rename_to_new) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def write_output(out: Path, chunks: Chunks, *, replace: bool = True) -> None:
    """Write chunks to a file, in one step. Raises BuildError.

    Without ``replace``, an existing file stays, and SettingsError is raised.
    """
    with replace_output(out, replace=replace) as temporary:
        write_new(temporary, chunks)


def check_new(out: str | Path) -> None:
    """Raise SettingsError if ``out`` already exists."""
    if os.path.lexists(out):
        raise SettingsError(f"{out} already exists", hint="Name a new file.")


def _rename_to_new(temporary: str, out: str | os.PathLike[str]) -> None:
    """Rename a file unless ``out`` exists, even if another program creates that at the same moment."""
    path, target = Path(temporary), Path(out)
    try:
        if os.name == "nt":
            path.rename(target)  # never replaces a file there
        else:
            target.hardlink_to(path)
            path.unlink()
    except FileExistsError:
        check_new(target)
        raise
    except OSError:  # a filesystem without hard links
        check_new(target)
        path.rename(target)


def write_new(path: Path, chunks: Chunks) -> None:
    """Write chunks to a new, empty file. Raises OSError."""
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
