"""Writing what a build makes: an output is replaced in one step, and nothing else is ever overwritten."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hatch_romfs.builder.links import resolve_output
from hatch_romfs.errors import BuildError, SettingsError
from romfs_manifest.shared.atomic import remove_leftovers, replace_atomically
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


@contextlib.contextmanager
def replace_output(out: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``out`` that replaces it after the block. Raises BuildError."""
    try:
        out = resolve_output(out)  # a link stays a link: its target is replaced
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out.parent, f"{out.name}.")
        with replace_atomically(out) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def write_output(out: Path, chunks: Chunks) -> None:
    """Write chunks to a file, in one step. Raises BuildError."""
    with replace_output(out) as temporary:
        write_new(temporary, chunks)


def write_new(path: Path, chunks: Chunks) -> None:
    """Write chunks to a new, empty file. Raises OSError."""
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
