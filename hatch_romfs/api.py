"""What scripts call: the same steps as the commands, with values for results and exceptions for failures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import SettingsError
from hatch_romfs.formats.image import Stored, stored
from hatch_romfs.pipeline import Built, Job, build_image, check_replaceable, project_jobs, unheard, write_artifact
from hatch_romfs.settings.kinds import MAX_ALIGNMENT
from hatch_romfs.settings.project import has_table, load, read_project, read_settings
from hatch_romfs.tree import files

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from hatch_romfs.emit import CArray
    from hatch_romfs.pipeline import Progress

_SETUPTOOLS = ("hatch_romfs.plugins.setuptools", "setuptools.build_meta", "setuptools.build_meta:__legacy__")
_ELSE = "Write the version down, or build the image through the project's own build front end."


def build(  # noqa: PLR0913 - the options of a command
    source: str | os.PathLike[str] = ".",
    out: str | os.PathLike[str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    cache: bool = True,
    emit: CArray | None = None,
    image: str = "",
    on_progress: Progress = unheard,
) -> Built:
    """Build the image of a project or of a plain folder, and return where and what it is.

    ``source`` is a folder: a project if its ``pyproject.toml`` has a ``[tool.romfs]``, else its content
    becomes the root of the image. ``out`` is the image's file, by default in ``dist`` for a project and beside
    the folder for a plain one. ``overrides`` are keys of ``[tool.romfs]``, as TOML would give them, that outrank
    the table's. Of several images ``image`` names the one to build. With ``emit`` the image is written as C source,
    and ``source`` may also be an image that is there.

    Raises SettingsError for what is asked and BuildError for what is found; the file is then left as it was.
    """
    if emit is not None:
        emit.check()
        if Path(source).is_file():
            return _emitted(Path(source), Path(out or Path(source).with_suffix(".c")), emit)
    jobs = _jobs(Path(source), overrides or {})
    if image not in jobs:
        named = ", ".join(filter(None, jobs))
        what = f"has no image {image!r}" if image else "has several images"
        listed = f"{what}: {named}" if not image else f"{what}; its images: {named}" if named else f"{what}, only one"
        raise SettingsError(f"{source} {listed}", hint="Name one with --image." if named else None)
    job = jobs[image] if out is None else jobs[image]._replace(out=Path(out))
    if emit is not None:
        job = job._replace(emit=emit, out=job.out if out else job.out.with_suffix(".c"))
    return _built(job, cache, on_progress)


def build_all(
    source: str | os.PathLike[str] = ".",
    *,
    overrides: Mapping[str, Any] | None = None,
    cache: bool = True,
    on_progress: Progress = unheard,
) -> dict[str, Built]:
    """Build every image of a project, and return what each is by its name; one without a name is ``""``."""
    jobs = _jobs(Path(source), overrides or {})
    return {name: _built(job, cache, on_progress) for name, job in jobs.items()}


def _built(job: Job, cache: bool, on_progress: Progress) -> Built:  # noqa: FBT001
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
        alignment = min(max((content.alignment for content in contents), default=1), MAX_ALIGNMENT)
        whole = Stored(image.view, 0, image.size)
        write_artifact(out, c_source(whole.chunks(), image.size, array, alignment))
        return Built(out, image.size, image.sha256(), len(contents), (), None)


def _jobs(root: Path, overrides: Mapping[str, Any]) -> dict[str, Job]:
    if not root.is_dir():
        raise SettingsError(f"{root} is not a folder", hint="Name a project's folder, or any folder to pack.")
    document = load(root)
    if document is None or not has_table(document):
        named = root if root.name not in ("", "..") else root.resolve()
        return {"": Job(root, read_settings(overrides), named.parent / f"{named.name or 'rom'}.romfs")}
    project = read_project(root, document, overrides)
    return project_jobs(project, root / "dist", lambda: _version_of(root, document))


def _version_of(root: Path, document: dict[str, object]) -> str:
    """Return the version that the build backend gives a project that has none written down."""
    system = document.get("build-system")
    backend = system.get("build-backend") if isinstance(system, dict) else None
    # Only such a project pays for its build backend.
    if backend == "hatchling.build":
        from hatch_romfs.plugins.hatch import dynamic_version  # noqa: PLC0415
    elif backend in _SETUPTOOLS:
        try:
            from hatch_romfs.plugins.setuptools import dynamic_version  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SettingsError(
                "project.version is dynamic, and setuptools, which would tell it, is not installed here", hint=_ELSE
            ) from error
    else:
        raise SettingsError(
            f"project.version is missing, and its build backend, {backend!r}, cannot be asked for it", hint=_ELSE
        )
    return dynamic_version(root)
