"""What scripts and commands call to build: a folder to an image, with values for results, exceptions for failures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.builder.backends import check_embed, generator_warnings
from hatch_romfs.builder.build import BuildResult, build_image
from hatch_romfs.builder.jobs import Emit, Job, project_jobs
from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.events import ignore_progress
from hatch_romfs.formats.image import ImageContent, image_content
from hatch_romfs.settings.project import has_table, load, read_project, read_settings
from hatch_romfs.settings.values import MAX_ALIGNMENT
from hatch_romfs.tree import files

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from hatch_romfs.events import Report
    from hatch_romfs.settings.layers import Options

    Overrides = Mapping[str, Any] | Options | None


def build(  # noqa: PLR0913 - the options of a command
    source: str | os.PathLike[str] = ".",
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Overrides = None,
    cache: bool = True,
    emit: Emit | None = None,
    image: str = "",
    on_progress: Report = ignore_progress,
) -> BuildResult:
    """Build the image of a project or of a plain folder.

    ``source`` is a folder: a project if its ``pyproject.toml`` has a ``[tool.romfs]`` table, otherwise its content
    becomes the root of the image. ``out`` is the image file, by default in ``dist`` for a project and beside the
    folder for a plain one, or inside it if it is the current folder. With ``out`` no bundle is written. ``overrides``
    are keys of ``[tool.romfs]``, in TOML's terms, that outrank the table.
    ``image`` is the name of the image to build if the project has several. With ``emit`` the image is written as C
    source or as a file for a partition, and ``source`` can also be an image file.

    Raises SettingsError for wrong arguments and settings, and BuildError for content that cannot be built; the file
    at ``out`` then stays as it was.
    """
    if emit is not None:
        emit.check()
        if Path(source).is_file():
            return _emit_image_file(Path(source), None if out is None else Path(out), emit)
    jobs = _find_jobs(Path(source), overrides)
    if image not in jobs:
        raise _unknown_image(source, image, [name for name in jobs if name])
    job = jobs[image] if out is None else _redirect(jobs[image], Path(out))
    if emit is not None:
        from hatch_romfs.builder.emit import emit_suffix  # noqa: PLC0415 - few builds end in another file

        job = job._replace(emit=emit, out=job.out if out else job.out.with_suffix(emit_suffix(emit)))
    return _build_job(job, cache, on_progress)


def build_all(
    source: str | os.PathLike[str] = ".",
    *,
    overrides: Overrides = None,
    cache: bool = True,
    on_progress: Report = ignore_progress,
) -> dict[str, BuildResult]:
    """Build every image of a project, and return the results by name; the name of a single image is ``""``."""
    jobs = _find_jobs(Path(source), overrides)
    return {name: _build_job(job, cache, on_progress) for name, job in jobs.items()}


def _redirect(job: Job, out: Path) -> Job:
    """Return a job for the image alone, written to ``out``: a board that is flashed needs no bundle for a factory."""
    return job._replace(out=out, replaces_any=True, settings=job.settings.replace(bundle=None))


def _find_jobs(root: Path, overrides: Overrides) -> dict[str, Job]:
    if not root.is_dir():
        raise SettingsError(f"{root} is not a folder", hint="Name the folder of a project, or any folder to pack.")
    document = load(root)
    if document is None or not has_table(document):
        return {"": Job(root, read_settings(overrides or {}), _folder_output(root))}
    project = read_project(root, document, overrides)
    check_embed(project, document)
    notes = tuple(generator_warnings(root, document))
    jobs = project_jobs(project, root / "dist", lambda: _dynamic_version(root, document))
    return {name: job._replace(notes=job.notes + notes) for name, job in jobs.items()}


def _folder_output(root: Path) -> Path:
    """Return the image file of a plain folder: beside it, but inside if the current folder is in it, or is it."""
    named = root if root.name not in ("", "..") else root.resolve()
    name = f"{named.name or 'rom'}.romfs"
    return root / name if Path.cwd().is_relative_to(root.resolve()) else named.parent / name


def _dynamic_version(root: Path, document: dict[str, Any]) -> str:
    from hatch_romfs.builder.version import dynamic_version  # noqa: PLC0415 - few projects have one

    if "version" not in document["project"].get("dynamic", ()):
        problem = Problem("project.version", "is missing: add it, or list it in `project.dynamic`")
        raise SettingsError([problem], hint=f"Fix {root / 'pyproject.toml'}.")
    return dynamic_version(root)


def _unknown_image(source: str | os.PathLike[str], image: str, names: list[str]) -> SettingsError:
    """Return the error for an image name that the project does not have, or that is missing."""
    if not names:
        return SettingsError(f"{source} has no image {image!r}, only one without a name", hint="Leave out --image.")
    listed, hint = ", ".join(names), "Name one with --image."
    if image:
        return SettingsError(f"{source} has no image {image!r}; its images: {listed}", hint=hint)
    return SettingsError(f"{source} has several images: {listed}", hint=hint)


def _build_job(job: Job, cache: bool, on_progress: Report) -> BuildResult:  # noqa: FBT001
    result = build_image(job, cache=cache, on_progress=on_progress)
    if job.name is None and (job.root / "pyproject.toml").exists():
        warning = f"{job.root / 'pyproject.toml'} has no [tool.romfs] table: the whole folder was packed"
        return result._replace(warnings=(warning, *result.warnings))
    return result


def _emit_image_file(path: Path, out: Path | None, emit: Emit) -> BuildResult:
    """Write an image file as a file of another kind; whatever follows the image in its file is left out."""
    from hatch_romfs.builder.emit import check_emit, emit_suffix, write_emit  # noqa: PLC0415 - few builds need it
    from hatch_romfs.formats import open_image  # noqa: PLC0415 - the same

    out = path.with_suffix(emit_suffix(emit)) if out is None else out
    check_emit(out, emit)
    with open_image(path) as image:
        image.check()
        contents = [image_content(file) for _, file in files(image.root)]
        alignment = min(max((content.alignment for content in contents), default=1), MAX_ALIGNMENT)
        whole = ImageContent(image.view, 0, image.size)
        c_files = write_emit(out, whole.chunks(), image.size, emit, alignment)
        return BuildResult(out, image.size, image.sha256(), len(contents), (), None, c_files=c_files)
