"""setuptools: its commands that build wheels and sdists also build the image; and ``python setup.py bdist_romfs``.

``hatch_romfs.plugins.setuptools`` as a build backend is setuptools' own, so that it can be named on its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command, build_meta
from setuptools.errors import ModuleError

from hatch_romfs.errors import SettingsError
from hatch_romfs.plugins.errors import abort_on_failure
from hatch_romfs.plugins.output import abort, explain, find_project, print_error, print_path

if TYPE_CHECKING:
    from setuptools import Distribution

    from hatch_romfs.plugins.staging import StagedImages

# Hooks that build no image, such as those of an editable install, need not wait for the code that does.
# ruff: noqa: PLC0415

_TEMPORARY = re.compile(r"(\.tmp-|tmp)[a-z0-9_]{8}")
"""The name of the folder in the output folder into which setuptools' build backend builds."""


def __getattr__(name: str) -> object:
    """Return a hook of setuptools itself."""
    return getattr(build_meta, name)


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
        with abort_on_failure(abort):
            _place(_stage(self.distribution, Path(self.dist_dir or "dist")))


def extend_commands(distribution: Distribution) -> None:
    """Have the commands for wheels and sdists build the image, if the project asks for that.

    Setuptools calls this for every project that it builds where this package is installed.
    """
    from hatch_romfs.builder.backends import extends_setuptools
    from hatch_romfs.settings.project import has_table, load

    with abort_on_failure(abort):
        document = load(Path.cwd()) or {}
    if not has_table(document) or not extends_setuptools(document):
        return
    for name, extend in (("bdist_wheel", _with_images), ("sdist", _with_sources)):
        try:
            base = distribution.get_command_class(name)
        except ModuleError:  # older setuptools take bdist_wheel from another package
            continue
        distribution.cmdclass[name] = extend(base)


def _with_images(base: Any) -> Any:  # noqa: ANN401 - a class that setup.py can replace
    """Return a ``bdist_wheel`` that also builds the images: the output folder gets both or neither."""

    class BdistWheel(base):  # type: ignore[misc]
        def run(self) -> None:
            super().run()
            folder = Path(self.dist_dir).resolve()
            wheel = Path(self.distribution.dist_files[-1][2])
            try:
                with abort_on_failure(abort):
                    staged = _stage(self.distribution, _output_folder(folder))
                    staged.embed(wheel)
                    _place(staged)
            except BaseException:
                wheel.unlink(missing_ok=True)
                raise

    return BdistWheel


def _with_sources(base: Any) -> Any:  # noqa: ANN401
    """Return an ``sdist`` that also contains the sources of the image."""

    class Sdist(base):  # type: ignore[misc]
        def run(self) -> None:
            from hatch_romfs.collect.sdist import complete_sdist

            super().run()
            archives = [Path(archive) for archive in self.get_archive_files()]
            try:
                with abort_on_failure(abort):
                    for archive in archives:
                        complete_sdist(archive, find_project())
            except BaseException:
                for archive in archives:
                    archive.unlink(missing_ok=True)
                raise

    return Sdist


def _output_folder(folder: Path) -> Path:
    return folder.parent if _TEMPORARY.fullmatch(folder.name) else folder


def _stage(distribution: Distribution, directory: Path) -> StagedImages:
    from hatch_romfs.builder.jobs import project_jobs
    from hatch_romfs.plugins.staging import StagedImages

    version = distribution.get_version()
    jobs = project_jobs(find_project(), directory, lambda: _normalize(version))
    return StagedImages(jobs.values(), print_error, print_error, explain)


def _place(staged: StagedImages) -> None:
    for path in staged.place():
        print_path(path)


def _normalize(version: str) -> str:
    """Return a version as wheels have it; setup.py can say anything."""
    from hatch_romfs.settings.project import normalize_version

    normalized = normalize_version(version)
    if normalized is None:
        raise SettingsError(f"project.version is dynamic, and {version[:50]!r} is not a version")
    return normalized
