"""A project to jobs: one for each image, with its settings, its name and version, and its output files."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.settings.project import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatch_romfs.firmware.partition_file import PartitionFile
    from hatch_romfs.formats.c_source import CArray
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.project import Project


Emit: TypeAlias = "CArray | PartitionFile"
"""What to write instead of an image."""


class Job(NamedTuple):
    """An image to build from the folder ``root``, and where to write it.

    ``name`` and ``version`` are written into the image. ``name`` is None for a plain folder, whose content becomes
    the root of the image. ``project`` is the project's name, and ``image`` that of one of several images. With
    ``emit`` another file is written instead of the image. ``notes`` are warnings that are known before the build.
    Only with ``replaces_any``, if the user named the output, can it be the image of another project.
    """

    root: Path
    settings: Settings
    out: Path
    name: str | None = None
    version: str | None = None
    project: str | None = None
    image: str = ""
    emit: Emit | None = None
    notes: tuple[str, ...] = ()
    replaces_any: bool = False

    @property
    def inventory(self) -> Path | None:
        """The path of the inventory, if the settings ask for one; only an image has one."""
        return self.out.with_name(f"{self.out.name}.json") if self.settings.inventory and not self.emit else None

    @property
    def sbom(self) -> Path | None:
        """The path of the software bill of materials, if the settings ask for one; C source has none."""
        return self.out.with_name(f"{self.out.name}.cdx.json") if self.settings.sbom and not self.emit else None

    @property
    def bundle(self) -> Path | None:
        """The path of the bundle with firmware, if the settings ask for one; only an image has one."""
        wanted = self.settings.bundle
        if wanted is None or self.emit:
            return None
        if wanted.filename is None:
            return self.out.with_suffix(PurePath(wanted.firmware).suffix)
        return self.out.with_name(_fill(wanted.filename, self.project or self.out.stem, self.version or "", self.image))

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that the build writes."""
        header = self.emit and self.emit.header_path(self.out)
        return tuple(filter(None, (self.out, self.inventory, self.sbom, self.bundle, header)))


def project_jobs(project: Project, directory: Path, find_version: Callable[[], str]) -> dict[str, Job]:
    """Return a job for each of the project's images, by name; their outputs go to ``directory``, the output folder.

    The setting ``directory`` outranks that. ``find_version`` is called only if the version is dynamic. Raises
    SettingsError if two images would be written to one file.
    """
    version = find_version() if project.version is None else project.version
    jobs = {}
    for image, settings in project.images.items():
        folder, notes = _output_folder(project, settings, directory)
        out = folder / _fill(settings.filename, project.name, version, image)
        name = f"{project.name}-{image}" if image else project.name
        jobs[image] = Job(project.root, settings, out, name, version, project.name, image, notes=notes)
    _check_distinct(jobs)
    return jobs


def _fill(filename: str, name: str, version: str, image: str) -> str:
    """Return a filename without placeholders."""
    return filename.replace("{name}", name).replace("{version}", version).replace("{image}", image)


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
    """Refuse images that would overwrite one another on some system, or their own bundles."""
    owners: dict[str, str] = {}
    for image, job in jobs.items():
        places = [str(path) for path in job.outputs]
        if job.bundle and len({place.casefold() for place in places}) < len(places):
            where = job.settings.bundle.where("filename") if job.settings.bundle else ""
            raise SettingsError(
                [Problem(where, f"the bundle and the image would both be written to {job.bundle.name}")],
                hint="Give the bundle another filename.",
            )
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
