"""Adding images to a wheel that a build backend has built."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import shutil
import zipfile
from types import MappingProxyType
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError, ImageError, SettingsError
from hatch_romfs.formats import open_image, read_image
from hatch_romfs.images.wheel import image_entries, read_entry
from romfs_manifest.shared.atomic import replace_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MODE = 0o100644


def add_to_wheel(wheel: Path, images: Mapping[str, Path], sboms: Mapping[str, Path] = MappingProxyType({})) -> None:
    """Add image files to a wheel, by their paths in it; a file that has the path of one is replaced.

    ``sboms`` are software bills of materials by file name, which go to the folder that PEP 770 has for them. The other
    files keep their bytes and order, and the result depends on nothing but its content. Raises SettingsError if the
    wheel has no package for an image, and BuildError if it has another image of the project.
    """
    try:
        with replace_atomically(wheel) as temporary, zipfile.ZipFile(wheel) as old:
            names = old.namelist()
            record = _find_record(names)
            folder = f"{record.rpartition('/')[0]}/sboms"
            for path, image in images.items():
                _check_package(path, names)
                _check_stale(old, path, image, set(images))
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
                _write(old, new, record, {**images, **{f"{folder}/{name}": sbom for name, sbom in sboms.items()}})
    except (OSError, zipfile.BadZipFile) as error:
        raise BuildError(f"cannot add the image to {wheel.name}: {error}") from error


def _find_record(names: list[str]) -> str:
    """Return the path of a wheel's list of files."""
    return next(name for name in names if name.endswith(".dist-info/RECORD") and name.count("/") == 1)


def _write(old: zipfile.ZipFile, new: zipfile.ZipFile, record: str, added_files: Mapping[str, Path]) -> None:
    rows = [row for row in csv.reader(io.StringIO(old.read(record).decode())) if row and row[0] not in added_files]
    date = old.getinfo(record).date_time
    added = []
    for path, file in added_files.items():
        data = file.read_bytes()
        new.writestr(_entry(path, date), data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        added.append([path, f"sha256={digest}", str(len(data))])
    for info in old.infolist():
        if info.filename not in {record, *added_files}:
            with old.open(info) as source, new.open(info, "w") as target:
                shutil.copyfileobj(source, target)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*added, *rows])
    new.writestr(_entry(record, date), text.getvalue().encode())


def _entry(path: str, date: tuple[int, int, int, int, int, int]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, date)
    info.external_attr = _MODE << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _check_package(path: str, names: list[str]) -> None:
    """Refuse a path whose package the wheel does not have: the project's name need not be that of its package."""
    folder = path.partition("/")[0] if "/" in path else ""
    packages = sorted({name.partition("/")[0] for name in names if "/" in name and not _is_metadata(name)})
    if not folder or folder in packages or _is_metadata(path):
        return
    if packages:
        example = f'Name the path in one of its packages, such as `embed = "{packages[0]}/{path.rpartition("/")[2]}"`.'
        raise SettingsError(
            f"tool.romfs.embed: the wheel has no package {folder}, only {', '.join(packages)}", hint=example
        )
    raise SettingsError(f"tool.romfs.embed: the wheel has no package {folder}", hint="Only packages can have data.")


def _is_metadata(path: str) -> bool:
    return path.partition("/")[0].endswith((".dist-info", ".data"))


def _check_stale(wheel: zipfile.ZipFile, path: str, image: Path, own: set[str]) -> None:
    """Refuse another image of the same name in the wheel, such as one that an earlier build left in the package."""
    with open_image(image) as opened:
        name = opened.name
    stale = [other for other, found in _image_names(wheel) if found == name and other not in own]
    if name is not None and stale:
        raise BuildError(
            f"the wheel already contains an image of {name}, {stale[0]}, beside the new one, {path}",
            hint=f"Remove {stale[0]} from the package.",
        )


def _image_names(wheel: zipfile.ZipFile) -> Iterator[tuple[str, str | None]]:
    """Yield the path of each image in a wheel, and the name of its project."""
    for info in image_entries(wheel):
        with contextlib.suppress(ImageError, SettingsError), read_image(read_entry(wheel, info)) as image:
            if image.format == "micropython":
                yield info.filename, image.name
