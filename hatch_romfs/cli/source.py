"""What ``romfs-flash`` writes or compares: an image file, or the image of a project or folder, built first."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.cli.command import warn
from hatch_romfs.errors import ImageError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_romfs.board.probe import Board
    from hatch_romfs.builder.build import BuildResult
    from hatch_romfs.formats.image import Image

# What a command needs is imported when it runs: a plain image needs none of it.
# ruff: noqa: PLC0415


class Source(NamedTuple):
    """An image file, the board that its project is for, the partition to use, and the warnings so far.

    ``has_partition`` says whether the image goes into a partition, and not into a filesystem.
    """

    path: Path
    board: str | None
    partition: int
    warnings: list[str]
    has_partition: bool = True

    def warn(self, text: str) -> None:
        """Print a warning on standard error, and keep it for the JSON document."""
        self.warnings.append(text)
        warn(text)

    def relevant(self, warnings: Iterable[str]) -> list[str]:
        """Return those warnings of a build that matter where the image goes."""
        if self.has_partition:
            return list(warnings)
        from hatch_romfs.collect.sources import NOT_STARTED

        return [warning for warning in warnings if not warning.endswith(NOT_STARTED)]

    def check_board(self, board: Board) -> None:
        """Warn if the connected board does not look like the board of the project."""
        if difference := self.compare(board):
            self.warn(difference)

    def compare(self, board: Board) -> str | None:
        """Return how the connected board differs from the board of the project, or None."""
        if self.board is None:
            return None
        from hatch_romfs.board.checks import describe_differences

        return describe_differences(board, self.board, with_partitions=self.has_partition)


def source_path(options: argparse.Namespace) -> Path:
    """Return the path of what is to be written: IMAGE, or the image file of an installed package."""
    if options.installed:
        from hatch_romfs.images.installed import installed_image

        return installed_image(options.installed, options.image)
    source: Path = options.source
    return source


@contextmanager
def open_source(options: argparse.Namespace, source: Path) -> Iterator[Source]:
    """Open what is to be written; the image of a project or folder is built into a temporary file."""
    has_partition = options.to_filesystem is None
    if source.suffix == ".toml" and source.is_file():
        advice = "Name the folder of a project, not a file in it; the file of a fleet belongs to --fleet."
        raise SettingsError(f"{source} is not an image", hint=advice)
    if not source.is_dir():
        yield Source(source, None, options.partition or 0, [], has_partition)
        return
    check_folder(source, plain=options.folder)
    with build_temporarily(source, options.image, progress=not options.json) as built:
        partition = built.partition if options.partition is None else options.partition
        image = Source(built.path, built.board, partition, [], has_partition)
        for warning in image.relevant(built.warnings):
            image.warn(warning)
        yield image


@contextmanager
def build_temporarily(source: Path, image: str | None, *, progress: bool) -> Iterator[BuildResult]:
    """Build the image of a project or folder, or one of several, into a file that is removed at the end."""
    from hatch_romfs.builder.api import build
    from hatch_romfs.cli import show
    from romfs_manifest.shared.temporary import TemporaryFolder

    with TemporaryFolder() as folder:
        with show.progress(quiet=not progress) as on_progress:
            built = build(source, folder / "image.romfs", image=image or "", on_progress=on_progress)
        yield built


def open_image_file(path: Path, name: str | None = None, offset: int | None = None) -> Image:
    """Open an image file, a part of a dump, or an image inside a wheel; ``name`` chooses one of several."""
    from hatch_romfs.formats import open_image

    try:
        image = open_image(path, offset=offset)
    except ImageError:
        from hatch_romfs.images.wheel import is_wheel, open_in_wheel

        if offset is not None or not is_wheel(path):
            raise
        return open_in_wheel(path, name)
    if name is not None:
        image.close()
        raise SettingsError(f"--image names one of a wheel's images, and {path} is not a wheel")
    return image


def check_folder(folder: Path, *, plain: bool) -> None:
    """Check that a folder is a project with an image, or that all of it is meant, as ``--folder`` says."""
    from hatch_romfs.settings.project import has_table, load

    document = load(folder)
    if document is not None and has_table(document):
        if plain:
            raise SettingsError(f"--folder: {folder} is a project with [tool.romfs]", hint="Leave out --folder.")
        return
    if plain:
        return
    images = sorted(folder.glob("*.romfs"))
    hint = "To write everything in the folder, use --folder."
    if len(images) == 1:
        hint = f"To write the image in it, name that: {images[0]}. {hint}"
    elif images:
        hint = f"To write one of the images in it, name that, such as {images[0]}. {hint}"
    elif document is not None:
        hint = f"Add the table to the project. {hint}"
    problem = "is not a project: it has no pyproject.toml"
    if document is not None:
        problem = "has no [tool.romfs] table in its pyproject.toml"
    raise SettingsError(f"{folder} {problem}", hint=hint)


def check_content(path: Path, shown: object) -> None:
    """Refuse an image without files, which would take a board's app away."""
    from hatch_romfs.formats import open_image
    from hatch_romfs.tree import files

    with open_image(path) as image:
        if not any(True for _ in files(image.root)):
            raise SettingsError(
                f"{shown}: the image contains no files",
                hint="Check the sources of the project. --erase clears a partition; --force writes an empty image.",
            )


class ReportSource(NamedTuple):
    """An image to report on, and the size of its partition in bytes, if the project says it."""

    image: Image
    partition_size: int | None
    partition: int


@contextmanager
def open_report_source(source: Path, name: str | None, *, progress: bool) -> Iterator[ReportSource]:
    """Open an image file, or build the image of a project or of any folder, whose warnings are printed.

    The image can be inside firmware, which then says how large its partition is.
    """
    if not source.is_dir():
        if found := _report_on_firmware(source):
            with found.image:
                yield found
            return
        with open_image_file(source, name) as image:
            yield ReportSource(image, None, 0)
        return
    with build_temporarily(source, name, progress=progress) as built:
        for warning in built.warnings:
            warn(warning)
        with open_image_file(built.path) as image:
            image.origin = str(source)
            yield ReportSource(image, built.limit, built.partition)


def _report_on_firmware(path: Path) -> ReportSource | None:
    """Open the image in a firmware file, or return None if the file is not firmware. Raises RomfsError."""
    from hatch_romfs.formats import is_image

    if is_image(path):
        return None
    from hatch_romfs.cli.firmware import choose_partition, open_image_in, read_path

    firmware = read_path(path)
    if firmware is None:
        return None
    number = choose_partition(firmware, path, None)
    size = firmware.partitions[number].size if firmware.partitions else None
    return ReportSource(open_image_in(firmware, path, number), size, number)
