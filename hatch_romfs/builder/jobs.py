"""A project to jobs: one for each image, with its settings, its name and version, and its output files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import SettingsError

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
    ``emit`` the image is written as C source.
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
        """The path of the inventory, if the settings ask for one; C source has none."""
        return self.out.with_name(f"{self.out.name}.json") if self.settings.inventory and not self.emit else None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the build writes."""
        return tuple(filter(None, (self.out, self.inventory)))


def project_jobs(project: Project, directory: Path, find_version: Callable[[], str]) -> dict[str, Job]:
    """Return a job for each of the project's images, by name; their outputs go to ``directory``.

    ``find_version`` is called only if the version is dynamic. Raises SettingsError if two images would be written
    to one file.
    """
    version = find_version() if project.version is None else project.version
    jobs = {}
    for image, settings in project.images.items():
        filename = settings.filename.replace("{name}", project.name).replace("{version}", version)
        out = directory / filename.replace("{image}", image)
        name = f"{project.name}-{image}" if image else project.name
        jobs[image] = Job(project.root, settings, out, name, version, project.name, image)
    _check_distinct(jobs)
    return jobs


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
        for place in places:
            other = owners.setdefault(place.casefold(), image)
            if other != image:
                raise SettingsError(
                    f"tool.romfs.images: {other} and {image} would both be written to {place}",
                    hint="Give each image its own filename and path in the wheel, or use {image} in both.",
                )
