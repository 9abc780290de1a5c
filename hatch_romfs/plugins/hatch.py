"""Hatch's build target ``romfs`` and build hook ``romfs``: the one file that knows hatchling."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin import hookimpl
from hatchling.plugin.manager import PluginManager

from hatch_romfs.collect import LOCK, manifest_sources
from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.pipeline import embedded_path, project_jobs
from hatch_romfs.plugins import edge
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import read_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchling.bridge.app import Application

    from hatch_romfs.pipeline import Job


class RomfsBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """``hatch build -t romfs``."""

    PLUGIN_NAME = "romfs"

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what can be built: ``-t romfs`` means all of it, ``-t romfs:NAME`` one of several images."""
        jobs = _jobs(self.metadata, "", self.app, self.target_config)
        return {name or "standard": partial(self._build, name) for name in jobs}

    def clean(self, directory: str, _versions: list[str]) -> None:
        """Remove what was built, as ``hatch build -c`` asks."""
        _remove(_jobs(self.metadata, directory, self.app, self.target_config))

    def _build(self, image: str, directory: str, **_build_data: object) -> str:
        return _built(_jobs(self.metadata, directory, self.app, self.target_config)[image], self.app)


class RomfsBuildHook(BuildHookInterface[BuilderConfig]):
    """``[tool.hatch.build.hooks.romfs]``: the images beside the wheel, whatever front end builds that."""

    PLUGIN_NAME = "romfs"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the images before the wheel, so that where one fails there is no wheel either."""
        if self.target_name == "sdist":
            build_data["artifacts"] += self._needed()
        if self.target_name != "wheel" or version != "standard":
            return
        for job in self._jobs().values():
            built = _built(job, self.app)
            if job.settings.embed:
                build_data["force_include"][built] = embedded_path(job)
            _show(self.app, self.root, built)

    def clean(self, _versions: list[str]) -> None:
        """Remove what was built, as ``hatch build -c`` asks."""
        if self.target_name == "wheel":
            _remove(self._jobs())

    def _jobs(self) -> dict[str, Job]:
        return _jobs(self.metadata, self.directory, self.app, self.config)

    def _needed(self) -> list[str]:
        """Return patterns of what an image is built from, which an sdist must have even where Git ignores it."""
        needed = {f"/{LOCK}"}
        for job in self._jobs().values():
            settings = job.settings
            for source in (*settings.sources, *settings.lib):
                folder = PurePosixPath(source.path)
                if ".." not in folder.parts and not folder.is_absolute():
                    needed.add(f"/{_escaped(folder.as_posix())}/**")
            with edge.failures(self.app.abort):
                named = manifest_sources(settings, job.root)
            root = job.root.resolve()
            needed |= {f"/{_escaped(path.relative_to(root).as_posix())}" for path in named if path.is_relative_to(root)}
        return sorted(needed)


def _escaped(path: str) -> str:
    """Return a path as a gitignore pattern of that path alone."""
    return re.sub(r"([*?\[\]\\!# ])", r"\\\1", path)


@hookimpl
def hatch_register_builder() -> type[RomfsBuilder]:
    """Tell Hatch of the target."""
    return RomfsBuilder


@hookimpl
def hatch_register_build_hook() -> type[RomfsBuildHook]:
    """Tell Hatch of the hook."""
    return RomfsBuildHook


def dynamic_version(root: Path) -> str:
    """Return the version that hatchling works out for the project in ``root``; raises SettingsError."""
    try:
        version: str = ProjectMetadata(str(root), PluginManager()).version
    except Exception as error:  # version sources are plugins and raise what they like
        raise SettingsError(f"project.version is dynamic, and hatchling cannot tell it: {error}") from error
    return version


def _jobs(
    metadata: ProjectMetadata[PluginManager], directory: str, app: Application, config: dict[str, Any]
) -> dict[str, Job]:
    with edge.failures(app.abort):
        misplaced = set(config) & set(Settings.keys) - {"exclude"}  # Hatch has a key of that name
        if misplaced:
            raise SettingsError(f"{', '.join(sorted(misplaced))}: what goes into the image stands in [tool.romfs]")
        project = read_project(Path(metadata.root), metadata.config)
    return project_jobs(project, Path(directory), lambda: metadata.version)


def _built(job: Job, app: Application) -> str:
    """Build an image and return its path."""
    with edge.failures(app.abort):
        built = str(edge.image(job, app.display_warning))
    if job.inventory:
        _show(app, str(job.root), str(job.inventory))
    return built


def _show(app: Application, root: str, path: str) -> None:
    """Name a file that was made, as Hatch names the one that a target returns."""
    app.display_info(one_line(os.path.relpath(path, root) if path.startswith(root) else path))


def _remove(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        for path in job.outputs:
            path.unlink(missing_ok=True)
