"""The whole way from settings to an image: collect, compile, lay out, write."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hatch_romfs.collect import collect, collect_folder
from hatch_romfs.compile import compile_tree
from hatch_romfs.compile.cache import Cache
from hatch_romfs.digest import Digest
from hatch_romfs.emit import C_START, c_source
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.formats.sharing import equal_files, hard_links, strictest
from hatch_romfs.settings.model import MAX_SIZE, Alignment
from hatch_romfs.settings.patterns import PASSING, compiled
from hatch_romfs.tree import CHUNK, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hatch_romfs.emit import CArray
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project
    from hatch_romfs.tree import Directory

# Only the format that is asked for is imported.
# ruff: noqa: PLC0415

Chunks: TypeAlias = "Iterable[bytes | memoryview]"
Progress: TypeAlias = "Callable[[str, int, int], None]"
"""Is told what is being done, how much of it is, and of how much: modules, or bytes."""

_LARGEST = 5
"""How many files are named when an image does not fit."""


def unheard(_doing: str, _done: int, _total: int) -> None:
    """Take news of progress that nobody asked for."""


class Job(NamedTuple):
    """An image to build: the folder, what is said of it, and where the image goes.

    ``name`` is None for a plain folder, whose content is the image's root; else it is a project, and its name
    and version go into the image. With ``emit`` the image is written as C source.
    """

    root: Path
    settings: Settings
    out: Path
    name: str | None = None
    version: str | None = None
    emit: CArray | None = None

    @property
    def inventory(self) -> Path | None:
        """Where the inventory goes, if there is to be one; C source has none."""
        return self.out.with_name(f"{self.out.name}.json") if self.settings.inventory and not self.emit else None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the build writes."""
        return tuple(filter(None, (self.out, self.inventory)))


def project_job(project: Project, directory: Path) -> Job:
    """Return the job of building a project's image into the output folder ``directory``."""
    filename = project.settings.filename.replace("{name}", project.name)
    filename = filename.replace("{version}", project.version or "")
    return Job(project.root, project.settings, directory / filename, project.name, project.version)


class Built(NamedTuple):
    """An image that was built.

    ``size`` and ``limit``, the partition's, are in bytes, ``sha256`` is that of the whole image, ``files`` counts
    what it holds, ``warnings`` are what its maker should hear, and ``inventory`` is the file beside it, if asked for.
    """

    path: Path
    size: int
    sha256: str
    files: int
    warnings: tuple[str, ...]
    limit: int | None
    inventory: Path | None = None


def build_image(job: Job, *, cache: bool = True, on_progress: Progress = unheard) -> Built:
    """Build one image; the file at ``job.out`` is replaced in one step, or left as it is.

    Raises SettingsError and BuildError.
    """
    settings = job.settings
    _check_outputs(job)
    collected = (collect if job.name else collect_folder)(settings, job.root, job.outputs)
    tree = collected.tree
    if settings.mpy:
        tree = compile_tree(
            tree,
            settings.mpy,
            cache=Cache.of_user() if cache else None,
            on_progress=lambda done, total: on_progress("compiling", done, total),
        )
    size, chunks = (_linux if settings.format == "linux" else _micropython)(job, tree)
    if size > (settings.size or MAX_SIZE):
        raise _too_big(size, settings.size, tree)
    with Digest() as digest:
        chunks = _watched(_gathered(chunks), digest, size, on_progress)
        if job.emit:
            boundaries = [boundary for _, boundary in settings.alignment.patterns]
            chunks = c_source(chunks, size, job.emit, max(settings.alignment.default, *boundaries, 1))
        with replacing(job.out) as passing:
            _write(passing, chunks)
            if job.inventory:
                # The image is what is flashed, so it changes last; a cut between the two leaves hashes that differ.
                write_artifact(job.inventory, [_inventory(job, passing, tree)])
        sha256 = digest.hexdigest()
    warnings = (*collected.warnings, *_unmatched(settings.alignment, tree))
    return Built(job.out, size, sha256, sum(1 for _ in files(tree)), warnings, settings.size, job.inventory)


def _micropython(job: Job, tree: Directory) -> tuple[int, Chunks]:
    """Lay out an image of MicroPython's ROMFS: return its size, and what yields its bytes."""
    from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
    from hatch_romfs.formats.micropython.metadata import Metadata
    from hatch_romfs.formats.micropython.writer import image_chunks

    settings = job.settings
    layout = lay_out(
        tree,
        align=alignment_of(settings.alignment),
        same=equal_files(tree, smallest=SHARED_FROM) if settings.share else {},
        metadata=Metadata(job.name, job.version) if settings.metadata else None,
    )
    return layout.size, image_chunks(layout)


def _linux(job: Job, tree: Directory) -> tuple[int, Chunks]:
    """Lay out an image of Linux's romfs."""
    from hatch_romfs.formats.linux.layout import lay_out
    from hatch_romfs.formats.linux.writer import image_chunks

    settings = job.settings
    same = (equal_files(tree, smallest=1) if settings.share else {}) | hard_links(tree)
    aligns = {} if settings.alignment == Alignment() else strictest(tree, alignment_of(settings.alignment), same)
    layout = lay_out(
        tree, settings.linux.volume or job.name or "rom", align=lambda path, _: aligns.get(path, 1), same=same
    )
    return layout.padded, image_chunks(layout)


def _inventory(job: Job, image: Path, tree: Directory) -> bytes:
    """Return the inventory of an image that was written."""
    from hatch_romfs.inventory import describe

    with open_image(image) as opened:
        return describe(opened, tree, job.settings, job.root)


def _gathered(chunks: Chunks) -> Chunks:
    """Yield the same bytes in chunks of some size: each costs a hash, a write and a word to who watches."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _watched(chunks: Chunks, digest: Digest, size: int, on_progress: Progress) -> Chunks:
    done = 0
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
        done += len(chunk)
        on_progress("writing", done, size)


def _check_outputs(job: Job) -> None:
    """Refuse to replace what no build has written."""
    if job.emit:
        check_replaceable(job.out, "C source of an image", C_START)
    else:
        check_replaceable(job.out, "image", *MAGICS.values())
    if job.inventory:
        from hatch_romfs.inventory import START

        check_replaceable(job.inventory, "inventory", START)


def check_replaceable(out: Path, what: str, *starts: bytes) -> None:
    """Refuse to put something where a file is that does not start as that does."""
    if not out.exists():
        return
    if not out.is_file():
        raise SettingsError(f"{out} is there, and is no file", hint="Name another file.")
    with out.open("rb") as file:
        start = file.read(32)
    if start and not start.startswith(starts):
        raise SettingsError(f"{out} is there, and is no {what}", hint="Name another file, or remove this one.")


def _unmatched(alignment: Alignment, tree: Directory) -> list[str]:
    """Return a warning for each pattern that no file matches: that boundary is kept by nothing."""
    paths = [path for path, _ in files(tree)] if alignment.patterns else []
    return [
        f"no file of the image matches the pattern {pattern!r} of tool.romfs.alignment"
        for pattern, _ in alignment.patterns
        if not any(map(compiled([pattern]), paths))
    ]


def alignment_of(alignment: Alignment) -> Callable[[str], int]:
    """Return what gives for a path its boundary: the strictest of the patterns that match, else the default."""
    patterns = [(compiled([pattern]), boundary) for pattern, boundary in alignment.patterns]

    def align(path: str) -> int:
        asked = [boundary for pattern, boundary in patterns if pattern(path)]
        return max(asked, default=alignment.default)

    return align


def write_artifact(out: Path, chunks: Chunks) -> None:
    """Write chunks to a file that then takes the place of ``out``. Raises BuildError."""
    with replacing(out) as passing:
        _write(passing, chunks)


def _write(path: Path, chunks: Chunks) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yield the path of a file beside ``out`` that takes its place once it was written. Raises BuildError."""
    out = out.resolve()  # a link stays, and what it leads to is replaced
    passing = out.with_name(f".{out.name}.{os.urandom(4).hex()}{PASSING}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield passing
            passing.replace(out)
        finally:
            with contextlib.suppress(OSError):
                passing.unlink()
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def _too_big(size: int, limit: int | None, tree: Directory) -> BuildError:
    what, limit = ("of tool.romfs.size", limit) if limit else ("that boards can count", MAX_SIZE)
    largest = sorted(((file.size, path) for path, file in files(tree)), key=lambda found: (-found[0], found[1]))
    listed = "".join(f"\n  {bytes_:>10,}  {path}" for bytes_, path in largest[:_LARGEST])
    return BuildError(
        f"the image is {size:,} bytes, {size - limit:,} more than the {limit:,} {what}; the largest files:{listed}",
        hint="Leave files out, compile with mpy.optimize = 3, or use a larger partition.",
    )
