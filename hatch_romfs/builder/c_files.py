"""The files that a build with ``--emit c`` writes: the source of an array, and the header that declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.builder.output import check_replaceable, replace_output, write_new, write_output
from hatch_romfs.errors import SettingsError
from hatch_romfs.formats.c_source import C_STARTS, CArray, c_header, c_source

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_romfs.builder.output import Chunks


class CFiles(NamedTuple):
    """What was written: the array, the ``size`` of its source in bytes, and the path of the header, or None."""

    array: CArray
    size: int
    header: Path | None


def check_c_files(source: Path, array: CArray) -> None:
    """Refuse to overwrite files that no build has written. Raises SettingsError and BuildError."""
    check_replaceable(source, "C array of an image", *C_STARTS)
    if header := array.header_path(source):
        if header == source:
            raise SettingsError(f"{source} would be both source and header", hint="Name the source, as with .c.")
        check_replaceable(header, "header of an image", *C_STARTS)


def write_c_files(source: Path, chunks: Chunks, size: int, array: CArray, alignment: int) -> CFiles:
    """Write an image of ``size`` bytes as C source, and its header. Raises BuildError."""
    header = array.header_path(source)
    with replace_output(source) as temporary:
        write_new(temporary, c_source(chunks, size, array, alignment))
        written = temporary.stat().st_size
        if header:
            write_output(header, [c_header(size, array)])
    return CFiles(array, written, header)
