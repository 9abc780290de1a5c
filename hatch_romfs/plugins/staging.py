"""Images that wait until their wheel is complete: then both get into their places, and otherwise neither does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.builder.jobs import embedded_path
from hatch_romfs.plugins.errors import build_job
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hatch_romfs.builder.jobs import Job


class StagedImages:
    """The images of ``jobs``, built into a temporary folder. Raises RomfsError.

    ``warn`` receives warnings, ``inform`` progress, and ``explain`` what only verbose output shows. The folder is
    removed with this object.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        warn: Callable[[str], object],
        inform: Callable[[str], object],
        explain: Callable[[str], object],
    ) -> None:
        self._folder = TemporaryFolder()
        self._jobs = [(self._folder.path / str(index), job) for index, job in enumerate(jobs)]
        for staging, job in self._jobs:
            staging.mkdir()
            build_job(job, warn, inform, explain, staging)

    def embed(self, wheel: Path) -> None:
        """Add the images to the wheel that ask for it, with their software bills of materials. Raises RomfsError."""
        embedded = [(staging, job) for staging, job in self._jobs if job.settings.embed]
        if embedded:
            from hatch_romfs.plugins.wheel import add_to_wheel  # noqa: PLC0415 - few projects embed their image

            images = {embedded_path(job): staging / job.out.name for staging, job in embedded}
            sboms = {job.sbom.name: staging / job.sbom.name for staging, job in embedded if job.sbom}
            add_to_wheel(wheel, images, sboms)

    def place(self) -> Iterator[Path]:
        """Put the outputs in their places, and yield the path of each. Raises BuildError."""
        from hatch_romfs.builder.output import place  # noqa: PLC0415 - an editable install builds no image

        for staging, job in self._jobs:
            place(staging, reversed(job.outputs))  # the image is what gets flashed, so it is replaced last
            yield from job.outputs
        self._folder.remove()
