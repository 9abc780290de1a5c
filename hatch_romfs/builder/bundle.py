"""Writing a bundle: firmware with images in its ROMFS partitions, as one file that a factory can flash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.builder.output import write_output
from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.firmware.bundle import BundlePlan, plan_bundle
from hatch_romfs.firmware.content import image_bytes
from hatch_romfs.firmware.files import Hints, read_firmware
from hatch_romfs.firmware.model import Partition
from hatch_romfs.formats import open_image
from hatch_romfs.formats.image import ImageContent

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from hatch_romfs.builder.jobs import Job


class BundleResult(NamedTuple):
    """A bundle that was written.

    ``path`` is the file, ``kind`` its kind, ``family`` the chips that it is for, as far as known, ``size`` its length
    in bytes, and ``sha256`` of the whole file. ``addresses`` are those of the images, by number of partition.
    ``base_address`` is that of the first byte, of files that do not say it themselves.
    """

    path: Path
    kind: str
    family: str | None
    size: int
    sha256: str
    addresses: dict[int, int]
    base_address: int | None = None
    warnings: tuple[str, ...] = ()


class BundleRequest(NamedTuple):
    """What a bundle is made of, except for the images.

    ``partitions`` are pairs of address and size, by number, of firmware that does not say them; ``base`` is the
    address of the first byte of a plain binary, and ``partition_table`` the file of the one that belongs to an
    application for the ESP32. ``add_partition`` is the size of a new partition in it, all in bytes.
    """

    firmware: Path
    partitions: tuple[Partition, ...] = ()
    base: int | None = None
    partition_table: Path | None = None
    add_partition: int | None = None
    erase_fs: bool = False

    @property
    def hints(self) -> Hints:
        """What helps to read the firmware."""
        return Hints(self.partitions, self.base, self.partition_table)


def bundle(  # noqa: PLR0913 - the options of a command
    firmware: str | os.PathLike[str],
    images: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    partitions: Sequence[tuple[int, int]] = (),
    board: str | None = None,
    base_address: int | None = None,
    partition_table: str | os.PathLike[str] | None = None,
    add_partition: int | None = None,
    erase_fs: bool = False,
) -> BundleResult:
    """Write firmware and image files to the file ``out``, each image in the ROMFS partition of its number.

    The firmware is a UF2, Intel HEX, S-record, DfuSe, or ESP32 file, or a plain binary that begins at the address
    ``base_address``. If it does not say where its partitions are, ``partitions`` does, as pairs of address and size
    in bytes, or the name of a ``board``. ``partition_table`` is the file of the table that belongs to an application
    for the ESP32. ``add_partition`` adds a ROMFS partition of that size to the table of an ESP32, and ``erase_fs``
    erases the start of the writable filesystem.

    Raises SettingsError, ImageError for images and firmware that are not valid, and BoardError if the firmware cannot
    take an image; the file at ``out`` then stays as it was.
    """
    stated = stated_partitions(partitions, board)
    table = None if partition_table is None else Path(partition_table)
    request = BundleRequest(Path(firmware), stated, base_address, table, add_partition, erase_fs)
    plan = plan_request(request, {number: read_image(path) for number, path in enumerate(images)})
    check_bundle_output(Path(out), request, plan)
    made = _build(Path(out), plan)
    write_output(Path(out), [made.data])
    return made.result


class Bundle(NamedTuple):
    """A bundle that is not written yet: what it will be, and the bytes of the file."""

    result: BundleResult
    data: bytes


def make_bundle(job: Job, out: Path, image: bytes) -> Bundle:
    """Return the bundle that the settings of ``job`` ask for, which will replace ``out``. Raises RomfsError."""
    request, number = _job_request(job)
    plan = plan_request(request, {number: image})
    check_bundle_output(out, request, plan)
    return _build(out, plan)


def _job_request(job: Job) -> tuple[BundleRequest, int]:
    """Return the request of a job, and the number of its partition."""
    settings, wanted = job.settings, job.settings.bundle
    if wanted is None:
        raise ValueError(job)
    stated, number = known_partitions(settings.board) if settings.board else (), settings.partition
    if wanted.address is not None:
        stated, number = (Partition("romfs", wanted.address, settings.size or 0, wanted.where("address")),), 0
    table = None if wanted.partition_table is None else job.root / wanted.partition_table
    firmware = job.root / wanted.firmware
    request = BundleRequest(firmware, stated, wanted.base_address, table, wanted.add_partition, wanted.erase_fs)
    return request, number


def plan_request(request: BundleRequest, images: Mapping[int, bytes]) -> BundlePlan:
    """Plan a bundle. Raises RomfsError."""
    firmware = read_firmware(request.firmware, request.hints)
    return plan_bundle(firmware, images, add_partition=request.add_partition, erase_fs=request.erase_fs)


def _build(out: Path, plan: BundlePlan) -> Bundle:
    data, file = plan.build(), plan.firmware.file
    result = BundleResult(
        path=out,
        kind=file.kind,
        family=file.family,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        addresses={number: partition.address for number, partition in plan.partitions.items()},
        base_address=file.base,
        warnings=plan.warnings,
    )
    return Bundle(result, data)


def read_image(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a valid MicroPython image file. Raises SettingsError and ImageError."""
    with open_image(path) as image:
        image.check()
        if image.format != "micropython":
            raise SettingsError(f"{path} is a Linux romfs image; a ROMFS partition takes MicroPython images")
        return b"".join(ImageContent(image.view, 0, image.size).chunks())


def stated_partitions(places: Sequence[tuple[int, int]], board: str | None) -> tuple[Partition, ...]:
    """Return the partitions that the user states: their places, or the name of a board. Raises SettingsError."""
    if board is None:
        return tuple(Partition("romfs", address, size, "--address") for address, size in places)
    if places:
        raise SettingsError("the partitions come from either addresses or a board, not both")
    return _board_partitions(board)


def _board_partitions(name: str) -> tuple[Partition, ...]:
    """Return the partitions of a board whose addresses are known. Raises SettingsError if they are not."""
    from hatch_romfs.settings.boards import name_problem  # noqa: PLC0415 - few bundles name a board

    if problem := name_problem(name):
        raise SettingsError(f"the board {problem}")
    known = known_partitions(name)
    if not known:
        raise SettingsError(
            f"the address of the ROMFS partition of {name} is not known", hint="Say it with --address and --size."
        )
    return known


def known_partitions(name: str) -> tuple[Partition, ...]:
    """Return the partitions of a board, or none if not all of their addresses are known."""
    from hatch_romfs.settings.boards import boards  # noqa: PLC0415 - few bundles name a board

    places = boards()[name].places
    if None in places:
        return ()
    return tuple(Partition("romfs", *place, f"board {name}") for place in places if place)


def check_bundle_output(out: Path, request: BundleRequest, plan: BundlePlan) -> None:
    """Refuse to overwrite anything but an older bundle: the same kind of file with an image in the same place.

    Raises SettingsError.
    """
    if not out.exists():
        return
    hint = "Choose another output, or remove this file."
    if request.firmware.exists() and out.samefile(request.firmware):
        raise SettingsError(f"{out} is the firmware itself, which stays as it is", hint="Choose another output.")
    if not out.is_file():
        raise SettingsError(f"{out} already exists and is not a file", hint=hint)
    if not out.stat().st_size:
        return
    base = plan.firmware.file.base
    try:
        old = read_firmware(out, Hints(base=base))
    except (ImageError, SettingsError):
        old = None
    partitions = plan.partitions.values()
    if old is None or not any(image_bytes(old.file.segments, partition) for partition in partitions):
        raise SettingsError(f"{out} already exists and is not firmware with a ROMFS image in this place", hint=hint)
