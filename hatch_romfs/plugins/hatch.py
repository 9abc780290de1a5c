"""Hatch's build target ``romfs`` and build hook ``romfs``: the one file that knows hatchling."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin import hookimpl
from hatchling.plugin.manager import PluginManager

from hatch_romfs.errors import RomfsError, SettingsError
from hatch_romfs.pipeline import build_image, project_job
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
        """Return the one way in which the target builds."""
        return {"standard": self._build_standard}

    def clean(self, directory: str, _versions: list[str]) -> None:
        """Remove what was built, as ``hatch build -c`` asks."""
        _remove(_job(self.metadata, directory, self.app, self.target_config))

    def _build_standard(self, directory: str, **_build_data: object) -> str:
        return _build(self.metadata, directory, self.app, self.target_config)


class RomfsBuildHook(BuildHookInterface[BuilderConfig]):
    """``[tool.hatch.build.hooks.romfs]``: the image beside the wheel, whatever front end builds that."""

    PLUGIN_NAME = "romfs"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the image before the wheel, so that where it fails there is no wheel either."""
        if self.target_name == "wheel" and version == "standard":
            _show(self.app, self.root, _build(self.metadata, self.directory, self.app, self.config))

    def clean(self, _versions: list[str]) -> None:
        """Remove what was built, as ``hatch build -c`` asks."""
        if self.target_name == "wheel":
            _remove(_job(self.metadata, self.directory, self.app, self.config))


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


def _job(metadata: ProjectMetadata[PluginManager], directory: str, app: Application, config: dict[str, Any]) -> Job:
    try:
        misplaced = set(config) & set(Settings.keys) - {"exclude"}  # Hatch has a key of that name
        if misplaced:
            raise SettingsError(f"{', '.join(sorted(misplaced))}: what goes into the image stands in [tool.romfs]")
        project = read_project(Path(metadata.root), metadata.config)
    except RomfsError as error:
        app.abort(str(error), code=error.status)
        raise
    if project.version is None:
        project = project._replace(version=metadata.version)
    return project_job(project, Path(directory))


def _build(metadata: ProjectMetadata[PluginManager], directory: str, app: Application, config: dict[str, Any]) -> str:
    """Build the image and return its path; what goes wrong becomes a message and an exit status."""
    job = _job(metadata, directory, app, config)
    try:
        built = build_image(job)
    except RomfsError as error:
        app.abort(str(error), code=error.status)
        raise
    for warning in built.warnings:
        app.display_warning(f"warning: {ascii(warning)[1:-1]}")
    if built.inventory:
        _show(app, metadata.root, str(built.inventory))
    return str(built.path)


def _show(app: Application, root: str, path: str) -> None:
    """Name a file that was made, as Hatch names the one that a target returns."""
    app.display_info(os.path.relpath(path, root) if path.startswith(root) else path)


def _remove(job: Job) -> None:
    for path in job.outputs:
        path.unlink(missing_ok=True)
