"""A project to jobs: one for each image, with its settings, its name and version, and its output files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.project import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatch_romfs.formats.c_source import CArray
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project


class Job(NamedTuple):
    """An image to build from the folder ``root``, and where to write it.

    ``name`` and ``version`` are written into the image. ``name`` is None for a plain folder, whose content becomes
    the root of the image. ``project`` is the project's name, and ``image`` that of one of several images. With
    ``emit`` the image is written as C source. ``notes`` are warnings that are known before the build. Only with
    ``replaces_any``, if the user named the output, can it be the image of another project.
    """

    root: Path
    settings: Settings
    out: Path
    name: str | None = None
    version: str | None = None
    project: str | None = None
    image: str = ""
    emit: CArray | None = None
    notes: tuple[str, ...] = ()
    replaces_any: bool = False

    @property
    def inventory(self) -> Path | None:
        """The path of the inventory, if the settings ask for one; C source has none."""
        return self.out.with_name(f"{self.out.name}.json") if self.settings.inventory and not self.emit else None

    @property
    def sbom(self) -> Path | None:
        """The path of the software bill of materials, if the settings ask for one; C source has none."""
        return self.out.with_name(f"{self.out.name}.cdx.json") if self.settings.sbom and not self.emit else None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the build writes."""
        header = self.emit and self.emit.header_path(self.out)
        return tuple(filter(None, (self.out, self.inventory, self.sbom, header)))


def project_jobs(project: Project, directory: Path, find_version: Callable[[], str]) -> dict[str, Job]:
    """Return a job for each of the project's images, by name; their outputs go to ``directory``, the output folder.

    The setting ``directory`` outranks that. ``find_version`` is called only if the version is dynamic. Raises
    SettingsError if two images would be written to one file.
    """
    version = find_version() if project.version is None else project.version
    jobs = {}
    for image, settings in project.images.items():
        filename = settings.filename.replace("{name}", project.name).replace("{version}", version)
        folder, notes = _output_folder(project, settings, directory)
        out = folder / filename.replace("{image}", image)
        name = f"{project.name}-{image}" if image else project.name
        jobs[image] = Job(project.root, settings, out, name, version, project.name, image, notes=notes)
    _check_distinct(jobs)
    return jobs


def _output_folder(project: Project, settings: Settings, directory: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of an image, and warnings about it.

    Front ends build the wheel from the unpacked sdist, in a temporary folder: then ``settings.directory`` is relative
    to the project that the output folder is in.
    """
    if settings.directory is None:
        return directory, ()
    root, out = project.root.resolve(), directory.resolve()
    if not (root / "PKG-INFO").is_file() or out.is_relative_to(root):
        return project.root / settings.directory, ()
    for parent in out.parents:
        if _project_name(parent) == project.name:
            return parent / settings.directory, ()
    unknown = (
        f"{settings.where('directory')} is relative to the project, which is unknown: this is a build of its sdist"
    )
    return directory, (unknown,)


def _project_name(folder: Path) -> object:
    """Return the name of the project in a folder, or None."""
    try:
        metadata = (load(folder) or {}).get("project")
    except SettingsError:
        return None
    return metadata.get("name") if isinstance(metadata, dict) else None


def embedded_path(job: Job) -> str:
    """Return the path of the image inside the wheel: by default in the package that has the project's name."""
    if isinstance(job.settings.embed, str):
        return job.settings.embed.replace("{image}", job.image)
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - few projects embed their image

    return f"{canonicalize_name(job.project or '').replace('-', '_')}/{job.out.name}"


def _check_distinct(jobs: dict[str, Job]) -> None:
    """Refuse images that would overwrite one another on some system."""
    owners: dict[str, str] = {}
    for image, job in jobs.items():
        places = [str(path) for path in job.outputs]
        if job.settings.embed:
            places.append(f"{embedded_path(job)} in the wheel")
            places += [f"sboms/{job.sbom.name} in the wheel"] if job.sbom else []
        for place in places:
            other = owners.setdefault(place.casefold(), image)
            if other != image:
                raise SettingsError(
                    f"tool.romfs.images: {other} and {image} would both be written to {place}",
                    hint="Give each image its own filename and path in the wheel, or use {image} in both.",
                )
