"""The whole path from a job to its image: collect, compile, check, pack, write."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.builder.checks import check_content
from hatch_romfs.builder.hashing import Digest
from hatch_romfs.builder.output import check_owner, check_replaceable, replace_output, write_new, write_output
from hatch_romfs.builder.pack import pack, unused_patterns
from hatch_romfs.cache import Cache
from hatch_romfs.collect.sources import collect, collect_folder
from hatch_romfs.compile.modules import compile_tree
from hatch_romfs.errors import BuildError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.settings.layers import board_source
from hatch_romfs.settings.values import MAX_SIZE
from hatch_romfs.tree import CHUNK, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.builder.bundle import Bundle, BundleResult
    from hatch_romfs.builder.c_files import CFiles
    from hatch_romfs.builder.jobs import Job
    from hatch_romfs.builder.output import Chunks
    from hatch_romfs.builder.pack import PackedImage
    from hatch_romfs.events import Report
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.tree import Directory

_LARGEST = 5
"""The number of files that are listed if an image is too large."""


class BuildResult(NamedTuple):
    """An image that was built.

    ``size`` and ``limit``, the size of the partition, are in bytes; ``sha256`` is of the whole image; ``files`` is
    their number. ``board`` and ``partition`` are what the image is for. ``inventory`` is the path of the inventory, if
    the settings ask for one. ``excluded`` are the paths that built-in patterns excluded. ``layout_cost`` is how many
    bytes a stable layout adds to the compact one. ``c_files`` describes the C source, if the image was written as such.
    ``bundle`` is the firmware with this image, if the settings ask for that.
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
    excluded: tuple[str, ...] = ()
    layout_cost: int = 0
    c_files: CFiles | None = None
    sbom: Path | None = None
    bundle: BundleResult | None = None

    def __repr__(self) -> str:
        content = f"{self.size:,} bytes, {self.files:,} files, {len(self.warnings):,} warnings"
        return f"<{type(self).__name__} {str(self.path)!r}: {content}, sha256 {self.sha256}>"


def build_image(
    job: Job, *, cache: bool = True, on_progress: Report = ignore_progress, staging: Path | None = None
) -> BuildResult:
    """Build one image; the file at ``job.out`` is replaced in one step, or stays as it was.

    With ``staging`` the outputs are written to that folder, and ``output.place`` can put them in their places later.
    Raises SettingsError and BuildError.
    """
    settings = job.settings
    _check_outputs(job)
    collected = (collect_folder if job.name is None else collect)(settings, job.root, job.outputs)
    compiled = compile_tree(collected.tree, settings, cache=Cache.of_user() if cache else None, on_progress=on_progress)
    warnings = check_content(compiled, settings)
    image = pack(compiled, settings, job.name, job.version)
    _check_size(image, settings)
    written = job if staging is None else job._replace(out=staging / job.out.name)
    with Digest() as digest:
        chunks = _watch(_gather(image.chunks()), digest, image.size, on_progress)
        c_files, bundle = _write_outputs(job, written, image, chunks)
        sha256 = digest.hexdigest()
    return BuildResult(
        path=job.out,
        size=image.size,
        sha256=sha256,
        files=sum(1 for _ in files(image.tree)),
        warnings=(
            *job.notes,
            *collected.warnings,
            *warnings,
            *unused_patterns(compiled, settings),
            *(bundle.warnings if bundle else ()),
        ),
        limit=settings.size,
        board=settings.board,
        partition=settings.partition,
        inventory=job.inventory,
        excluded=collected.excluded,
        layout_cost=image.size - image.compact_size,
        c_files=c_files,
        sbom=job.sbom,
        bundle=bundle,
    )


def _check_outputs(job: Job) -> None:
    """Refuse to overwrite files that no build has written."""
    if job.emit:
        from hatch_romfs.builder.emit import check_emit, place_emit  # noqa: PLC0415 - few builds end in another file

        check_emit(job.out, place_emit(job.emit, job.settings))
    else:
        check_replaceable(job.out, "ROMFS image", *MAGICS.values())
        if job.name is not None and not job.replaces_any:
            check_owner(job.out, job.name)
    if job.inventory:
        from hatch_romfs.builder.inventory import START  # noqa: PLC0415 - few builds write one

        check_replaceable(job.inventory, "inventory", START)
    if job.sbom:
        from hatch_romfs.builder import sbom  # noqa: PLC0415

        sbom.check_installed(job.settings.where("sbom"))
        check_replaceable(job.sbom, "software bill of materials", sbom.START)


def _check_size(image: PackedImage, settings: Settings) -> None:
    """Refuse an image that does not fit into its partition."""
    limit = settings.size or MAX_SIZE
    if image.size <= limit:
        return
    largest = sorted(files(image.tree), key=lambda entry: (-entry[1].size, entry[0]))[:_LARGEST]
    listed = [f"  {file.size:>10,}  {path}" for path, file in largest]
    excess = f"{image.size - limit:,} more than the {limit:,} {_limit_source(settings)}"
    cost = image.size - image.compact_size
    compact = f' layout = "compact" saves {cost:,} bytes.' if cost else ""
    raise BuildError(
        [f"the image is {image.size:,} bytes, {excess}; the largest files:", *listed],
        hint=f"Exclude files, compile with mpy.optimize = 3, or use a larger partition.{compact}",
    )


def _limit_source(settings: Settings) -> str:
    """Return where the limit of an image's size comes from, in words."""
    if settings.size is None:
        return "that boards can address"
    source = settings.where("size")
    if settings.board and source == board_source(settings.board):
        return f"of partition {settings.partition} of {settings.board}"
    return f"of {source}"


def _write_outputs(
    job: Job, written: Job, image: PackedImage, chunks: Chunks
) -> tuple[CFiles | None, BundleResult | None]:
    """Write the outputs of ``job`` to the places of ``written``; describe the C source and the bundle, if any."""
    if job.emit:
        from hatch_romfs.builder.emit import place_emit, write_emit  # noqa: PLC0415

        emit = place_emit(job.emit, job.settings)
        return write_emit(written.out, chunks, image.size, emit, image.alignment), None
    with replace_output(written.out) as temporary:
        write_new(temporary, chunks)
        # Everything is made before anything is replaced, and the image, which is what gets flashed, is replaced last.
        # If the build is interrupted in between, the hashes differ.
        bundle = _make_bundle(job, temporary)
        documents = _documents(job, written, temporary, image.tree, bundle and bundle.result)
        if bundle and written.bundle:
            documents.append((written.bundle, bundle.data))
        for out, document in documents:
            write_output(out, [document])
    return None, bundle and bundle.result


def _make_bundle(job: Job, path: Path) -> Bundle | None:
    """Return the bundle with the image that is in the file ``path``, if the settings ask for one."""
    if job.bundle is None:
        return None
    from hatch_romfs.builder.bundle import make_bundle  # noqa: PLC0415 - few builds write one

    return make_bundle(job, job.bundle, path.read_bytes())


def _documents(
    job: Job, written: Job, path: Path, tree: Directory, bundle: BundleResult | None
) -> list[tuple[Path, bytes]]:
    """Return the path and the content of each document about an image that was written to ``path``."""
    documents = []
    if written.inventory or written.sbom:
        from hatch_romfs.builder import inventory, sbom  # noqa: PLC0415 - few builds write any

        with open_image(path) as image:
            if written.inventory:
                described = inventory.describe(image, tree, job.settings, job.root, bundle)
                documents.append((written.inventory, described))
            if written.sbom:
                documents.append((written.sbom, sbom.describe(image, tree, job)))
    return documents


def _gather(chunks: Chunks) -> Iterator[bytes | memoryview]:
    """Yield the same bytes in chunks of a certain size, because each chunk costs a hash, a write, and an event."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _watch(chunks: Chunks, digest: Digest, size: int, on_progress: Report) -> Chunks:
    """Pass chunks on, hash them, and report how much of ``size`` was written."""
    done = 0
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
        done += len(chunk)
        on_progress(Progress("writing", done, size))
