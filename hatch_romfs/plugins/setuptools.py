"""A build backend that is setuptools and puts the image beside the wheel; and ``python setup.py bdist_romfs``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from setuptools import Command, build_meta

from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.plugins import edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.settings.project import Project

# Hooks that build no image, such as those of an editable install, need not wait for what builds one.
# ruff: noqa: PLC0415


def __getattr__(name: str) -> object:
    """Return a hook that stays as setuptools has it: all but the two below."""
    return getattr(build_meta, name)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel through setuptools, and the image: both get to their place, or neither does."""
    project = _project()
    with _passing(wheel_directory) as (passing, directory):
        name = build_meta.build_wheel(passing, config_settings, metadata_directory)
        _images(project, directory, lambda: _version_of(name))
        (passing / name).replace(directory / name)
    return name


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Build the sdist through setuptools, and add the sources of the image that it leaves out."""
    project = _project()
    with _passing(sdist_directory) as (passing, directory):
        name = build_meta.build_sdist(passing, config_settings)
        with edge.failures(_abort):
            from hatch_romfs.plugins.sdist import complete

            whole = complete(passing / name, project)
        whole.replace(directory / name)
    return name


class BdistRomfs(Command):
    """``python setup.py bdist_romfs``."""

    command_name = "bdist_romfs"
    description = "build the ROMFS image that [tool.romfs] in pyproject.toml describes"
    user_options: ClassVar = [("dist-dir=", "d", "the folder that the image goes into; by default dist")]

    def initialize_options(self) -> None:
        """Begin without options."""
        self.dist_dir: str | None = None

    def finalize_options(self) -> None:
        """Take the folder that all of bdist's commands have."""
        self.set_undefined_options("bdist", ("dist_dir", "dist_dir"))

    def run(self) -> None:
        """Build the image."""
        _images(_project(), Path(self.dist_dir or "dist"), lambda: _normalized(self.distribution.get_version()))


def dynamic_version(root: Path) -> str:
    """Return the version that setuptools works out for the project in ``root``; raises SettingsError.

    A process of its own runs what setup.py and the modules that hold versions may do, and writes nothing.
    """
    script = ["setup.py"] if (root / "setup.py").exists() else ["-c", "import setuptools; setuptools.setup()"]
    asked = subprocess.run(  # noqa: S603 - the project's own build
        [sys.executable, "-B", *script, "--version"], cwd=root, capture_output=True, text=True, check=False
    )
    said = (asked.stderr if asked.returncode else asked.stdout).split("\n")
    last = next(filter(None, map(str.strip, reversed(said))), "it says nothing")
    if asked.returncode:
        raise SettingsError(f"project.version is dynamic, and setuptools cannot tell it: {last}")
    return _normalized(last)


def _project() -> Project:
    """Return the project that setuptools builds: that in the current folder."""
    from hatch_romfs.settings.project import load, read_project

    root = Path.cwd()
    with edge.failures(_abort):
        return read_project(root, load(root) or {})


def _images(project: Project, directory: Path, version: Callable[[], str]) -> None:
    from hatch_romfs.pipeline import project_jobs

    with edge.failures(_abort):
        for job in project_jobs(project, directory, version).values():
            if job.settings.embed:
                raise SettingsError("tool.romfs.embed is for Hatch: setuptools takes data from packages alone")
            built = edge.image(job, _say)
            shown = os.path.relpath(built, project.root) if built.is_relative_to(project.root) else built
            sys.stdout.write(f"{one_line(str(shown))}\n")


def _version_of(wheel: str) -> str:
    from packaging.utils import parse_wheel_filename

    return str(parse_wheel_filename(wheel)[1])


def _normalized(version: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(version))
    except InvalidVersion as error:
        raise SettingsError(f"project.version is dynamic, and setuptools says {version[:50]!r}: no version") from error


@contextmanager
def _passing(directory: str) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for what is not finished, and the output folder that it is in."""
    out = Path(directory).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=out) as passing:
        yield Path(passing), out


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _abort(message: str, /, code: int) -> NoReturn:
    _say(f"error: {message}")
    sys.exit(code)
