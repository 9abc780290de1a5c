"""Hatch's build target ``romfs`` and build hook ``romfs``: the only file that knows hatchling."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.plugin import hookimpl
from hatchling.plugin.manager import PluginManager

from hatch_romfs.builder.jobs import embedded_path, project_jobs
from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.plugins.errors import abort_on_failure, build_job
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import read_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchling.bridge.app import Application
    from hatchling.metadata.core import ProjectMetadata

    from hatch_romfs.builder.jobs import Job

# An editable install builds no image, and need not wait for the code that does.
# ruff: noqa: PLC0415


class RomfsBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """``hatch build -t romfs``."""

    PLUGIN_NAME = "romfs"

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what can be built: ``-t romfs`` means every image, and ``-t romfs:NAME`` one of several."""
        jobs = _find_jobs(self.metadata, "", self.app, self.target_config)
        return {name or "standard": partial(self._build, name) for name in jobs}

    def clean(self, directory: str, _versions: list[str]) -> None:
        """Remove what was built, for ``hatch build -c``."""
        _remove(_find_jobs(self.metadata, directory, self.app, self.target_config))

    def _build(self, image: str, directory: str, **_build_data: object) -> str:
        return _build(_find_jobs(self.metadata, directory, self.app, self.target_config)[image], self.app)


class RomfsBuildHook(BuildHookInterface[BuilderConfig]):
    """``[tool.hatch.build.hooks.romfs]``: builds the images beside the wheel, with any build front end."""

    PLUGIN_NAME = "romfs"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the images before the wheel, so that there is no wheel if one of them fails."""
        if self.target_name == "sdist":
            build_data["artifacts"] += self._sdist_patterns()
        if self.target_name != "wheel" or version != "standard":
            return
        for job in self._jobs().values():
            path = _build(job, self.app)
            if job.settings.embed:
                build_data["force_include"][path] = embedded_path(job)
            _show(self.app, self.root, path)

    def clean(self, _versions: list[str]) -> None:
        """Remove what was built, for ``hatch build -c``."""
        if self.target_name == "wheel":
            _remove(self._jobs())

    def _jobs(self) -> dict[str, Job]:
        return _find_jobs(self.metadata, self.directory, self.app, self.config)

    def _sdist_patterns(self) -> list[str]:
        from hatch_romfs.collect.sdist import sdist_patterns

        with abort_on_failure(self.app.abort):
            return sdist_patterns([job.settings for job in self._jobs().values()], Path(self.root))


@hookimpl
def hatch_register_builder() -> type[RomfsBuilder]:
    """Register the target with Hatch."""
    return RomfsBuilder


@hookimpl
def hatch_register_build_hook() -> type[RomfsBuildHook]:
    """Register the hook with Hatch."""
    return RomfsBuildHook


def _find_jobs(
    metadata: ProjectMetadata[PluginManager], directory: str, app: Application, config: dict[str, Any]
) -> dict[str, Job]:
    with abort_on_failure(app.abort):
        misplaced = set(config) & set(Settings.keys) - {"exclude"}  # Hatch has a key of that name
        if misplaced:
            keys = (
                f"this key: {misplaced.pop()}" if len(misplaced) == 1 else f"these keys: {', '.join(sorted(misplaced))}"
            )
            raise SettingsError(f"move {keys} to [tool.romfs]")
        project = read_project(Path(metadata.root), metadata.config)
        return project_jobs(project, Path(directory), lambda: metadata.version)


def _build(job: Job, app: Application) -> str:
    """Build an image and return its path."""
    with abort_on_failure(app.abort):
        path = str(build_job(job, app.display_warning, app.display_info, app.display_debug).path)
    if job.inventory:
        _show(app, str(job.root), str(job.inventory))
    return path


def _show(app: Application, root: str, path: str) -> None:
    """Print the path of a file that was built, as Hatch prints the path that a target returns."""
    app.display_info(one_line(os.path.relpath(path, root) if path.startswith(root) else path))


def _remove(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        for path in job.outputs:
            path.unlink(missing_ok=True)
