"""The whole way from settings to an image: collect, compile, lay out, write."""

from __future__ import annotations

import contextlib
import os
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hatch_romfs.collect import collect, collect_folder, replace
from hatch_romfs.compile import check_ready, compile_tree
from hatch_romfs.compile.cache import Cache
from hatch_romfs.digest import Digest
from hatch_romfs.emit import C_START, c_source
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.packing import linux, micropython, unmatched
from hatch_romfs.settings.kinds import MAX_SIZE
from hatch_romfs.settings.patterns import PASSING
from hatch_romfs.tree import CHUNK, File, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hatch_romfs.emit import CArray
    from hatch_romfs.packing import Packed
    from hatch_romfs.settings.model import Mpy, Settings
    from hatch_romfs.settings.project import Project
    from hatch_romfs.tree import Directory

Chunks: TypeAlias = "Iterable[bytes | memoryview]"
Progress: TypeAlias = "Callable[[str, int, int], None]"
"""Is told what is being done, how much of it is, and of how much: modules, or bytes."""

_LARGEST = 5
"""How many files are named when an image does not fit."""


def unheard(_doing: str, _done: int, _total: int) -> None:
    """Take news of progress that nobody asked for."""


class Job(NamedTuple):
    """An image to build: the folder, what is said of it, and where the image goes.

    ``name`` is None for a plain folder, whose content is the image's root; else it is what the image is called,
    which goes into it with the version of the ``project``. With ``emit`` the image is written as C source.
    """

    root: Path
    settings: Settings
    out: Path
    name: str | None = None
    version: str | None = None
    project: str | None = None
    image: str = ""
    emit: CArray | None = None

    @property
    def inventory(self) -> Path | None:
        """Where the inventory goes, if there is to be one; C source has none."""
        return self.out.with_name(f"{self.out.name}.json") if self.settings.inventory and not self.emit else None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the build writes."""
        return tuple(filter(None, (self.out, self.inventory)))


def project_jobs(project: Project, directory: Path, dynamic: Callable[[], str]) -> dict[str, Job]:
    """Return the jobs of building a project's images, by their names, into the output folder ``directory``.

    ``dynamic`` is asked for the version where that is not written down.
    """
    version = dynamic() if project.version is None else project.version
    jobs = {}
    for image, settings in project.images.items():
        filename = settings.filename.replace("{name}", project.name).replace("{version}", version)
        out = directory / filename.replace("{image}", image)
        name = f"{project.name}-{image}" if image else project.name
        jobs[image] = Job(project.root, settings, out, name, version, project.name, image)
    _check_distinct(jobs)
    return jobs


def _check_distinct(jobs: dict[str, Job]) -> None:
    """Refuse images that would take one another's place, on any system; raises SettingsError."""
    taken: dict[str, str] = {}
    for image, job in jobs.items():
        outputs = [str(path) for path in job.outputs]
        embedded = [f"{embedded_path(job)} in the wheel"] if job.settings.embed else []
        for place in (*outputs, *embedded):
            other = taken.setdefault(place.casefold(), image)
            if other != image:
                raise SettingsError(
                    f"tool.romfs.images: {other} and {image} would both become {place}",
                    hint="Give each its own filename, and its own path in the wheel, or {image} in both.",
                )


def embedded_path(job: Job) -> str:
    """Return where in a wheel its image goes: by default into the package that is named as the project."""
    if isinstance(job.settings.embed, str):
        return job.settings.embed.replace("{image}", job.image)
    return f"{re.sub('[-_.]+', '_', job.project or '').lower()}/{job.out.name}"


class Built(NamedTuple):
    """An image that was built.

    ``size`` and ``limit``, the partition's, are in bytes, ``sha256`` is that of the whole image, ``files`` counts
    what it holds, and ``warnings`` are what its maker should hear. ``board`` and ``partition`` are what it is for, and
    ``inventory`` is the file beside it, if asked for.
    """

    path: Path
    size: int
    sha256: str
    files: int
    warnings: tuple[str, ...]
    limit: int | None
    board: str | None = None
    partition: int = 0
    inventory: Path | None = None


def build_image(job: Job, *, cache: bool = True, on_progress: Progress = unheard) -> Built:
    """Build one image; the file at ``job.out`` is replaced in one step, or left as it is.

    Raises SettingsError and BuildError.
    """
    settings = job.settings
    _check_outputs(job)
    collected = (collect if job.name else collect_folder)(settings, job.root, job.outputs)
    compiling = partial(_compiled, cache=cache, on_progress=on_progress)
    tree = collected.tree
    boundaries: dict[str, int] = {}
    warnings = list(collected.warnings)
    for inner in collected.nested:
        inside = compiling(inner.tree, inner.settings.mpy)
        image = micropython(inside, inner.settings, job.name, job.version, {})
        boundaries[inner.path] = image.boundary
        replace(tree, inner.path, File(image, inner.origin))
        warnings += unmatched(inner.settings.alignment, settings.board, inside)
    tree = compiling(tree, settings.mpy)
    if settings.format == "linux":
        packed = linux(tree, settings, job.name, boundaries)
    else:
        packed = micropython(tree, settings, job.name, job.version, boundaries)
    if packed.size > (settings.size or MAX_SIZE):
        raise _too_big(packed.size, settings, tree)
    sha256 = _write_outputs(job, packed, tree, on_progress)
    warnings += unmatched(settings.alignment, settings.board, tree)
    count = sum(1 for _ in files(tree))
    return Built(
        job.out,
        packed.size,
        sha256,
        count,
        tuple(warnings),
        settings.size,
        settings.board,
        settings.partition,
        job.inventory,
    )


def _compiled(tree: Directory, mpy: Mpy | None, *, cache: bool, on_progress: Progress) -> Directory:
    check_ready(tree, mpy)
    if mpy is None:
        return tree
    return compile_tree(
        tree,
        mpy,
        cache=Cache.of_user() if cache else None,
        on_progress=lambda done, total: on_progress("compiling", done, total),
    )


def _write_outputs(job: Job, packed: Packed, tree: Directory, on_progress: Progress) -> str:
    """Write the image, or its C source, and the inventory; return the image's SHA-256."""
    with Digest() as digest:
        chunks = _watched(_gathered(packed.chunks()), digest, packed.size, on_progress)
        if job.emit:
            chunks = c_source(chunks, packed.size, job.emit, packed.boundary)
        with replacing(job.out) as passing:
            _write(passing, chunks)
            if job.inventory:
                # The image is what is flashed, so it changes last; a cut between the two leaves hashes that differ.
                write_artifact(job.inventory, [_inventory(job, passing, tree)])
        return digest.hexdigest()


def _inventory(job: Job, image: Path, tree: Directory) -> bytes:
    """Return the inventory of an image that was written."""
    from hatch_romfs.inventory import describe  # noqa: PLC0415 - few builds write one

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
        from hatch_romfs.inventory import START  # noqa: PLC0415

        check_replaceable(job.inventory, "inventory", START)


def check_replaceable(out: Path, what: str, *starts: bytes) -> None:
    """Refuse to put something where a file is that does not start as that does."""
    try:
        if not out.exists():
            return
        if not out.is_file():
            raise SettingsError(f"{out} is there, and is no file", hint="Name another file.")
        with out.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise BuildError(f"cannot read {out}, which is to be replaced: {error.strerror}") from error
    if start and not start.startswith(starts):
        raise SettingsError(f"{out} is there, and is no {what}", hint="Name another file, or remove this one.")


def write_artifact(out: Path, chunks: Chunks, *, replace: bool = True) -> None:
    """Write chunks to a file that then takes the place of ``out``. Raises BuildError.

    Without ``replace``, a file that is already there stays: raises SettingsError.
    """
    with replacing(out, replace=replace) as passing:
        _write(passing, chunks)


def _write(path: Path, chunks: Chunks) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)


@contextlib.contextmanager
def replacing(out: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield the path of a file beside ``out`` that takes its place once it was written.

    Raises BuildError, and without ``replace`` SettingsError where ``out`` already exists.
    """
    out = out.resolve()  # a link stays, and what it leads to is replaced
    passing = out.with_name(f".{out.name}.{os.urandom(4).hex()}{PASSING}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield passing
            if replace:
                passing.replace(out)
            else:
                _rename_to_new(passing, out)
        finally:
            with contextlib.suppress(OSError):
                passing.unlink()
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def check_new(out: Path) -> None:
    """Raise SettingsError where ``out`` already exists."""
    if os.path.lexists(out):
        raise SettingsError(f"{out} already exists", hint="Name a new file.")


def _rename_to_new(path: Path, out: Path) -> None:
    """Rename a file unless ``out`` exists, also where another program creates that at the same moment."""
    try:
        if os.name == "nt":
            path.rename(out)  # which replaces nothing there
        else:
            out.hardlink_to(path)
    except FileExistsError:
        check_new(out)
        raise
    except OSError:  # a filesystem without hard links
        check_new(out)
        path.rename(out)


def _too_big(size: int, settings: Settings, tree: Directory) -> BuildError:
    what, limit = (_whose(settings), settings.size) if settings.size else ("that boards can count", MAX_SIZE)
    largest = sorted(((file.size, path) for path, file in files(tree)), key=lambda found: (-found[0], found[1]))
    listed = [f"  {bytes_:>10,}  {path}" for bytes_, path in largest[:_LARGEST]]
    return BuildError(
        [f"the image is {size:,} bytes, {size - limit:,} more than the {limit:,} {what}; the largest files:", *listed],
        hint="Leave files out, compile with mpy.optimize = 3, or use a larger partition.",
    )


def _whose(settings: Settings) -> str:
    """Say where the limit of an image is from."""
    if settings.board:
        from hatch_romfs.settings.boards import boards  # noqa: PLC0415 - few settings name a board

        if boards()[settings.board].sizes[settings.partition] == settings.size:
            return f"of partition {settings.partition} of {settings.board}"
    return "of tool.romfs.size"
