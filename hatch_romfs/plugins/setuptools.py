"""A build backend that is setuptools and builds the image beside the wheel; and ``python setup.py bdist_romfs``."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from setuptools import Command, build_meta

from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.plugins.errors import abort_on_failure, build_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.settings.project import Project

_LOG = logging.getLogger(__name__)
"""setuptools shows its messages if it is asked to be verbose."""

# Hooks that build no image, such as those of an editable install, need not wait for the code that does.
# ruff: noqa: PLC0415


def __getattr__(name: str) -> object:
    """Return a hook of setuptools itself: all but the two below."""
    return getattr(build_meta, name)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel with setuptools, and the image: the output folder gets both or neither."""
    project = _read_project()
    with _temporary_folder(wheel_directory) as (temporary, directory):
        name = build_meta.build_wheel(temporary, config_settings, metadata_directory)
        _build_images(project, directory, lambda: _wheel_version(name))
        (temporary / name).replace(directory / name)
    return name


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Build the sdist with setuptools, and add the sources of the image that setuptools leaves out."""
    project = _read_project()
    with _temporary_folder(sdist_directory) as (temporary, directory):
        name = build_meta.build_sdist(temporary, config_settings)
        with abort_on_failure(_abort):
            from hatch_romfs.collect.sdist import complete_sdist

            completed = complete_sdist(temporary / name, project)
        completed.replace(directory / name)
    return name


class BdistRomfs(Command):
    """``python setup.py bdist_romfs``."""

    command_name = "bdist_romfs"
    description = "build the ROMFS image that [tool.romfs] in pyproject.toml describes"
    user_options: ClassVar = [("dist-dir=", "d", "the output folder; by default dist")]

    def initialize_options(self) -> None:
        """Start without options."""
        self.dist_dir: str | None = None

    def finalize_options(self) -> None:
        """Use the output folder that all bdist commands share."""
        self.set_undefined_options("bdist", ("dist_dir", "dist_dir"))

    def run(self) -> None:
        """Build the image."""
        version = self.distribution.get_version()
        _build_images(_read_project(), Path(self.dist_dir or "dist"), lambda: _normalize(version))


def _read_project() -> Project:
    """Return the project that setuptools builds: the one in the current folder."""
    from hatch_romfs.settings.project import load, read_project

    root = Path.cwd()
    with abort_on_failure(_abort):
        return read_project(root, load(root) or {})


def _build_images(project: Project, directory: Path, find_version: Callable[[], str]) -> None:
    from hatch_romfs.builder.jobs import project_jobs

    with abort_on_failure(_abort):
        for job in project_jobs(project, directory, find_version).values():
            if job.settings.embed:
                raise SettingsError(
                    f"{job.settings.where('embed')} works only with Hatch: setuptools adds only package data to wheels"
                )
            path = build_job(job, _print_error, _print_error, _LOG.debug).path
            shown = os.path.relpath(path, project.root) if path.is_relative_to(project.root) else path
            sys.stdout.write(f"{one_line(str(shown))}\n")


def _wheel_version(wheel: str) -> str:
    from packaging.utils import parse_wheel_filename

    return str(parse_wheel_filename(wheel)[1])


def _normalize(version: str) -> str:
    """Return a version as wheels have it; setup.py can say anything."""
    from hatch_romfs.settings.project import normalize_version

    normalized = normalize_version(version)
    if normalized is None:
        raise SettingsError(f"project.version is dynamic, and {version[:50]!r} is not a version")
    return normalized


@contextmanager
def _temporary_folder(directory: str) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for unfinished files, and the output folder, which contains it."""
    out = Path(directory).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=out) as temporary:
        yield Path(temporary), out


def _print_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _abort(message: str, /, code: int) -> NoReturn:
    _print_error(f"error: {message}")
    sys.exit(code)
