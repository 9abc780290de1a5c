"""Files that are written instead of an image: C source, or a file for one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.builder.bundle import known_partitions
from hatch_romfs.builder.output import check_replaceable
from hatch_romfs.firmware.partition_file import STARTS, PartitionFile
from hatch_romfs.formats.c_source import C_START, CArray, c_source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hatch_romfs.builder.jobs import Emit, Job
    from hatch_romfs.builder.output import Chunks


def emit_suffix(emit: Emit) -> str:
    """Return the suffix of the file."""
    return ".c" if isinstance(emit, CArray) else f".{emit.kind}"


def check_emit(job: Job) -> None:
    """Refuse to overwrite a file of another kind, or to write a file of which too little is known.

    Raises SettingsError.
    """
    emit = _of_job(job)
    if emit is not None:
        emit.check()
        check_emit_output(job.out, emit)


def check_emit_output(out: Path, emit: Emit) -> None:
    """Refuse to overwrite a file of another kind. Raises SettingsError."""
    if isinstance(emit, CArray):
        check_replaceable(out, "C array of an image", C_START)
    else:
        check_replaceable(out, f"{emit.kind.upper()} file", STARTS[emit.kind])


def emit_chunks(chunks: Chunks, size: int, alignment: int, job: Job) -> Chunks:
    """Return the chunks of the file that is written instead of an image of ``size`` bytes."""
    emit = _of_job(job)
    return chunks if emit is None else encode(chunks, size, alignment, emit)


def encode(chunks: Chunks, size: int, alignment: int, emit: Emit) -> Iterable[bytes]:
    """Return the chunks of a file with an image in it. Raises SettingsError and BoardError."""
    if isinstance(emit, CArray):
        return c_source(chunks, size, emit, alignment)
    return [emit.encode(b"".join(chunks))]


def _of_job(job: Job) -> Emit | None:
    """Return what a job emits; if nothing else says where the partition is, the board in the settings does."""
    emit, settings = job.emit, job.settings
    if not isinstance(emit, PartitionFile):
        return emit
    known = known_partitions(settings.board) if settings.board else ()
    if emit.address is None and settings.partition < len(known):
        place = known[settings.partition]
        emit = emit._replace(address=place.address, size=place.size)
    return emit if emit.size else emit._replace(size=settings.size)
