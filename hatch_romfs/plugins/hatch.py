"""Hatch's build target ``romfs`` and build hook ``romfs``: the only file that knows hatchling."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.constants import BuildEnvVars
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.plugin import hookimpl
from hatchling.plugin.manager import PluginManager

from hatch_romfs.builder.jobs import project_jobs
from hatch_romfs.builder.output import check_output_folder
from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.plugins.errors import abort_on_failure, build_job
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import load, read_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatchling.bridge.app import Application
    from hatchling.metadata.core import ProjectMetadata

    from hatch_romfs.builder.jobs import Job
    from hatch_romfs.plugins.staging import StagedImages
    from hatch_romfs.settings.project import Project

_HOOK_KEYS = {"dependencies"}
"""Keys that Hatch reads from the table of a hook, and that [tool.romfs] has too."""
_TARGET_KEYS = {"dependencies", "directory", "exclude", "sources"}
"""The same, for the table of a target."""
_WHEEL_KEYS = (
    "artifacts", "exclude", "force-include", "include", "only-include", "only-packages", "packages", "sources",
)  # fmt: skip
"""Keys of a target that say which files a wheel or an sdist contains."""

# An editable install builds no image, and need not wait for the code that does.
# ruff: noqa: PLC0415


class RomfsBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """``hatch build -t romfs``."""

    PLUGIN_NAME = "romfs"

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what can be built: ``-t romfs`` means every image, and ``-t romfs:NAME`` one of several."""
        return {name or "standard": partial(self._build, name) for name in self._jobs("")}

    def clean(self, directory: str, _versions: list[str]) -> None:
        """Remove what was built, for ``hatch build -c``."""
        _remove(self._jobs(directory))

    def build(  # type: ignore[override]
        self,
        *,
        directory: str | None = None,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> Iterator[str]:
        """Build the images; what would end Hatch with a traceback, before it asks for them, is an error here."""
        root = Path(self.root)
        with abort_on_failure(self.app.abort):
            read_project(root, load(root) or {})
            check_output_folder(Path(directory or os.environ.get(BuildEnvVars.LOCATION) or self.config.directory))
            yield from super().build(directory=directory, **options)

    def _jobs(self, directory: str) -> dict[str, Job]:
        with abort_on_failure(self.app.abort):
            _check_keys(self.target_config, _TARGET_KEYS)
        return _find_jobs(self.metadata, directory, self.app)

    def _build(self, image: str, directory: str, **_build_data: object) -> str:
        from hatch_romfs.builder.backends import check_embed

        with abort_on_failure(self.app.abort):
            check_embed(_read_project(self.metadata, self.app), self.metadata.config)
        job = self._jobs(directory)[image]
        return _build(job._replace(notes=(*job.notes, *self._notes())), self.app)

    def _notes(self) -> Iterator[str]:
        """Yield warnings about what Hatch does for wheels, and not for this target."""
        for key in _WHEEL_KEYS:
            if key in self.target_config:
                yield f"tool.hatch.build.targets.romfs.{key} does not change the image; [tool.romfs] does"
        for name in self.metadata.hatch.build_targets.get("wheel", {}).get("hooks", {}):
            if name not in {*self.config.hook_config, "romfs"}:
                yield (
                    f"tool.hatch.build.targets.wheel.hooks.{name} did not run: files that it generates may be"
                    " missing or old; a hook in [tool.hatch.build.hooks] runs for every target"
                )


class RomfsBuildHook(BuildHookInterface[BuilderConfig]):
    """``[tool.hatch.build.hooks.romfs]``: builds the images beside the wheel, with any build front end."""

    PLUGIN_NAME = "romfs"

    _staged: StagedImages | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the images before the wheel, so that there is no wheel if one of them fails.

        If other hooks come later, the files that they generate do not exist yet, and ``finalize`` builds the images.
        """
        with abort_on_failure(self.app.abort):
            _check_keys(self.config, _HOOK_KEYS)
        if self.target_name == "sdist":
            self._check_sources()
        if self._builds_images(version) and build_data["build_hooks"][-1] == self.PLUGIN_NAME:
            self._staged = self._build()

    def finalize(self, version: str, _build_data: dict[str, Any], artifact_path: str) -> None:
        """Put the images beside the complete wheel, or the sources into the sdist; without them there is neither."""
        artifact = Path(artifact_path)
        try:
            if self._builds_images(version):
                self._finish_wheel(artifact)
            elif self.target_name == "sdist":
                self._finish_sdist(artifact)
        except BaseException:
            artifact.unlink(missing_ok=True)
            raise

    def clean(self, _versions: list[str]) -> None:
        """Remove what was built, for ``hatch build -c``."""
        if self.target_name == "wheel":
            _remove(self._jobs())

    def _jobs(self) -> dict[str, Job]:
        return _find_jobs(self.metadata, self.directory, self.app)

    def _builds_images(self, version: str) -> bool:
        return self.target_name == "wheel" and version == "standard"

    def _build(self) -> StagedImages:
        from hatch_romfs.plugins.staging import StagedImages

        with abort_on_failure(self.app.abort):
            app = self.app
            return StagedImages(self._jobs().values(), app.display_warning, app.display_info, app.display_debug)

    def _finish_wheel(self, wheel: Path) -> None:
        staged = self._staged or self._build()
        with abort_on_failure(self.app.abort):
            staged.embed(wheel)
            for path in staged.place():
                _show(self.app, self.root, str(path))

    def _check_sources(self) -> None:
        from hatch_romfs.collect.sdist import check_inside

        with abort_on_failure(self.app.abort):
            check_inside(_read_project(self.metadata, self.app))

    def _finish_sdist(self, archive: Path) -> None:
        from hatch_romfs.collect.sdist import complete_sdist

        project = _read_project(self.metadata, self.app)
        with abort_on_failure(self.app.abort):
            complete_sdist(archive, project)


@hookimpl
def hatch_register_builder() -> type[RomfsBuilder]:
    """Register the target with Hatch."""
    return RomfsBuilder


@hookimpl
def hatch_register_build_hook() -> type[RomfsBuildHook]:
    """Register the hook with Hatch."""
    return RomfsBuildHook


def _find_jobs(metadata: ProjectMetadata[PluginManager], directory: str, app: Application) -> dict[str, Job]:
    project = _read_project(metadata, app)
    with abort_on_failure(app.abort):
        return project_jobs(project, Path(directory), lambda: metadata.version)


def _read_project(metadata: ProjectMetadata[PluginManager], app: Application) -> Project:
    with abort_on_failure(app.abort):
        return read_project(Path(metadata.root), metadata.config)


def _check_keys(config: dict[str, Any], own: set[str]) -> None:
    """Refuse keys of [tool.romfs] in a table of Hatch's, except for its own. Raises SettingsError."""
    misplaced = sorted(set(config) & set(Settings.keys) - own)
    if misplaced:
        keys = f"this key: {misplaced[0]}" if len(misplaced) == 1 else f"these keys: {', '.join(misplaced)}"
        raise SettingsError(f"move {keys} to [tool.romfs]")


def _build(job: Job, app: Application) -> str:
    """Build an image and return its path."""
    with abort_on_failure(app.abort):
        path = str(build_job(job, app.display_warning, app.display_info, app.display_debug).path)
    for document in job.outputs[1:]:
        _show(app, str(job.root), str(document))
    return path


def _show(app: Application, root: str, path: str) -> None:
    """Print the path of a file that was built, as Hatch prints the path that a target returns."""
    app.display_info(one_line(os.path.relpath(path, root) if path.startswith(root) else path))


def _remove(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        for path in job.outputs:
            path.unlink(missing_ok=True)
