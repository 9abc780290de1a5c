"""A build backend that calls the one that ``tool.romfs.backend`` names, and builds the image beside the wheel."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.plugins.errors import abort_on_failure
from hatch_romfs.plugins.output import abort, explain, find_project, print_error, print_path, wheel_version
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

# Hooks that build no image, such as those of an editable install, need not wait for the code that does.
# ruff: noqa: PLC0415


def __getattr__(name: str) -> object:
    """Return a hook of the other backend: all but the two below. It need not have all of them."""
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(_backend(), name)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel, and the image: the output folder gets both or neither."""
    from hatch_romfs.builder.jobs import project_jobs
    from hatch_romfs.plugins.staging import StagedImages

    with _temporary_folder(wheel_directory) as (temporary, directory):
        wheel = temporary / str(_backend().build_wheel(str(temporary), config_settings, metadata_directory))
        with abort_on_failure(abort):
            jobs = project_jobs(find_project(), directory, lambda: wheel_version(wheel.name))
            staged = StagedImages(jobs.values(), print_error, print_error, explain)
            staged.embed(wheel)
            for path in staged.place():
                print_path(path)
        wheel.replace(directory / wheel.name)
    return wheel.name


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Build the sdist, and add the sources of the image that the other backend leaves out."""
    from hatch_romfs.collect.sdist import complete_sdist

    with _temporary_folder(sdist_directory) as (temporary, directory):
        archive = temporary / str(_backend().build_sdist(str(temporary), config_settings))
        with abort_on_failure(abort):
            complete_sdist(archive, find_project())
        archive.replace(directory / archive.name)
    return archive.name


@cache
def _backend() -> Any:  # noqa: ANN401 - a module, or an object in it
    """Return the backend that does the work."""
    with abort_on_failure(abort):
        names = {settings.backend for settings in find_project().images.values()} - {None}
        if not names:
            problem = Problem("tool.romfs.backend", f"is missing: {__name__} needs the build backend that it calls")
            raise SettingsError([problem], hint="Set it to what `build-system.build-backend` was before.")
        (name,) = names
        module, _, path = str(name).partition(":")
        try:
            return reduce(getattr, path.split(".") if path else [], import_module(module))
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                [Problem("tool.romfs.backend", f"cannot import {name}: {error}")],
                hint="Add its package to `build-system.requires`.",
            ) from error


@contextmanager
def _temporary_folder(directory: str) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for unfinished files, and the output folder, which contains it."""
    out = Path(directory).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryFolder(out, ".tmp-") as temporary:
        yield temporary, out
