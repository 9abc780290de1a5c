"""What scripts call: the same steps as the commands, with values for results and exceptions for failures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import SettingsError
from hatch_romfs.formats.image import Stored, stored
from hatch_romfs.pipeline import Built, Job, build_image, check_replaceable, project_job, unheard, write_artifact
from hatch_romfs.settings.project import has_table, load, read_project, read_settings
from hatch_romfs.tree import files

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from hatch_romfs.emit import CArray
    from hatch_romfs.pipeline import Progress


def build(  # noqa: PLR0913 - the options of a command
    source: str | os.PathLike[str] = ".",
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    cache: bool = True,
    emit: CArray | None = None,
    on_progress: Progress = unheard,
) -> Built:
    """Build the image of a project or of a plain folder, and return where and what it is.

    ``source`` is a folder: a project if its ``pyproject.toml`` has a ``[tool.romfs]``, else its content
    becomes the root of the image. ``out`` is the image's file, by default in ``dist`` for a project and beside
    the folder for a plain one. ``overrides`` are keys of ``[tool.romfs]``, as TOML would give them, that outrank
    the table's. With ``emit`` the image is written as C source, and ``source`` may also be an image that is there.

    Raises SettingsError for what is asked and BuildError for what is found; the file is then left as it was.
    """
    if emit is not None:
        emit.check()
        if Path(source).is_file():
            return _emitted(Path(source), Path(out or Path(source).with_suffix(".c")), emit)
    job = _job(Path(source), None if out is None else Path(out), overrides or {})
    if emit is not None:
        job = job._replace(emit=emit, out=job.out if out else job.out.with_suffix(".c"))
    built = build_image(job, cache=cache, on_progress=on_progress)
    if job.name is None and (job.root / "pyproject.toml").exists():
        whole = f"{job.root / 'pyproject.toml'} has no [tool.romfs] table: the whole folder was packed"
        return built._replace(warnings=(whole, *built.warnings))
    return built


def _emitted(path: Path, out: Path, array: CArray) -> Built:
    """Write an image that is there as C source; what follows it in its file stays behind."""
    from hatch_romfs.emit import C_START, c_source  # noqa: PLC0415 - few builds end in C source
    from hatch_romfs.formats import open_image  # noqa: PLC0415

    check_replaceable(out, "C source of an image", C_START)
    with open_image(path) as image:
        image.check()
        contents = [stored(file) for _, file in files(image.root)]
        alignment = min(max((content.alignment for content in contents), default=1), 4096)
        whole = Stored(image.view, 0, image.size)
        write_artifact(out, c_source(whole.chunks(), image.size, array, alignment))
        return Built(out, image.size, image.sha256(), len(contents), (), None)


def _job(root: Path, out: Path | None, overrides: Mapping[str, Any]) -> Job:
    if not root.is_dir():
        raise SettingsError(f"{root} is not a folder", hint="Name a project's folder, or any folder to pack.")
    document = load(root)
    if document is None or not has_table(document):
        named = root if root.name not in ("", "..") else root.resolve()
        return Job(root, read_settings(overrides), out or named.parent / f"{named.name or 'rom'}.romfs")
    project = read_project(root, document, overrides)
    if project.version is None:
        project = project._replace(version=_version_of(root, document))
    job = project_job(project, root / "dist")
    return job if out is None else job._replace(out=out)


def _version_of(root: Path, document: dict[str, object]) -> str:
    """Return the version that the build backend gives a project that has none written down."""
    system = document.get("build-system")
    backend = system.get("build-backend") if isinstance(system, dict) else None
    if backend != "hatchling.build":
        raise SettingsError(
            f"project.version is missing, and its build backend, {backend!r}, cannot be asked for it",
            hint="Write the version down, or build the image through the project's own build front end.",
        )
    from hatch_romfs.plugins.hatch import dynamic_version  # noqa: PLC0415 - only such a project pays for hatchling

    return dynamic_version(root)
