"""Files that are written instead of an image: C source, or a file for one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.builder.bundle import known_partitions
from hatch_romfs.builder.c_files import check_c_files, write_c_files
from hatch_romfs.builder.output import check_replaceable, write_output
from hatch_romfs.firmware.partition_file import STARTS
from hatch_romfs.formats.c_source import CArray

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_romfs.builder.c_files import CFiles
    from hatch_romfs.builder.jobs import Emit
    from hatch_romfs.builder.output import Chunks
    from hatch_romfs.settings.model import Settings


def emit_suffix(emit: Emit) -> str:
    """Return the suffix of the file."""
    return ".c" if isinstance(emit, CArray) else f".{emit.kind}"


def place_emit(emit: Emit, settings: Settings) -> Emit:
    """Return ``emit`` with the place of its partition: if nothing else says it, the board in the settings does."""
    if isinstance(emit, CArray):
        return emit
    known = known_partitions(settings.board) if settings.board else ()
    if emit.address is None and settings.partition < len(known):
        place = known[settings.partition]
        emit = emit._replace(address=place.address, size=place.size)
    return emit if emit.size else emit._replace(size=settings.size)


def check_emit(out: Path, emit: Emit) -> None:
    """Refuse to overwrite a file of another kind, or to write one of which too little is known.

    Raises SettingsError, and BuildError if a file cannot be read.
    """
    if isinstance(emit, CArray):
        check_c_files(out, emit)
    else:
        emit.check_place()
        check_replaceable(out, f"{emit.kind.upper()} file", STARTS[emit.kind])


def write_emit(out: Path, chunks: Chunks, size: int, emit: Emit, alignment: int) -> CFiles | None:
    """Write an image of ``size`` bytes as another file; describe C source. Raises BoardError and BuildError."""
    if isinstance(emit, CArray):
        return write_c_files(out, chunks, size, emit, alignment)
    write_output(out, [emit.encode(b"".join(chunks))])
    return None
