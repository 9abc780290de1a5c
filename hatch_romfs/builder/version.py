"""The version of a project whose build backend computes it, for builds without a front end."""

from __future__ import annotations

import os
import subprocess
import warnings
from typing import TYPE_CHECKING

from build import BuildBackendException, BuildException
from build.util import project_wheel_metadata

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.project import normalize_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def dynamic_version(root: Path) -> str:
    """Return the version that the build backend computes for the project in ``root``. Raises SettingsError.

    The backend runs in a process of its own, and has to be installed in this environment: downloading it would make
    the image depend on more than the project.
    """
    try:
        with warnings.catch_warnings():  # that the version is not normalized, for example
            warnings.simplefilter("ignore")
            metadata = project_wheel_metadata(root, isolated=False, runner=_run)
    except (BuildBackendException, BuildException) as error:
        raise SettingsError(
            f"project.version is dynamic, and the build backend cannot compute it: {_reason(error)}",
            hint="Install the project's build backend here, write the version down, or build the image with the"
            " project's build front end.",
        ) from error
    version = normalize_version(str(metadata["Version"]))
    if version is None:
        raise SettingsError(f"project.version is dynamic, and {metadata['Version']!r:.60} is not a version")
    return version


def _run(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
    """Run the backend, quietly, and without bytecode, so that nothing is written into the project."""
    environment = {**os.environ, **(extra_environ or {}), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(  # noqa: S603 - the project's own backend
        cmd, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )


def _reason(error: BuildBackendException | BuildException) -> str:
    """Return the last line of what the backend printed, or else the error itself."""
    cause = getattr(error, "exception", None)
    lines: list[str] = []
    if isinstance(cause, subprocess.CalledProcessError):
        lines = [line.strip() for line in cause.stdout.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else str(error)
