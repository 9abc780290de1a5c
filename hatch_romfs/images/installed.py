"""The images that installed packages contain."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import MAGICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def installed_image(name: str, image: str | None = None) -> Path:
    """Return the path of the image in the installed distribution ``name``.

    If it contains several, ``image`` is the name of the file, or the end of that, such as ``assets`` for
    ``app-assets.romfs``. Raises SettingsError if there is no such image, or more than one.
    """
    try:
        files = metadata.files(name) or []
    except (metadata.PackageNotFoundError, ValueError):
        raise SettingsError(f"{name} is not installed here", hint=f"pip install {name}") from None
    found = sorted({str(path) for file in files if _is_image(path := Path(str(file.locate())))})
    if not found and (source := _editable_source(name)):
        raise SettingsError(
            f"the installed package {name} contains no ROMFS image: an editable installation never does",
            hint=f"Name its project instead of --installed: {source}",
        )
    return Path(select_image(found, image, f"the installed package {name}"))


def select_image(paths: Sequence[str], image: str | None, container: str) -> str:
    """Return the path of the image that is meant, of those in a wheel or an installed package.

    ``image`` is the name of the file, or the end of that, and ``container`` what messages call the wheel or package.
    Raises SettingsError unless exactly one image is meant.
    """
    found = [path for path in paths if image is None or _has_name(PurePath(path), image)]
    if not found:
        listed = f"; its images: {_names(paths)}" if paths else ""
        raise SettingsError(
            f"{container} contains no ROMFS image{f' {image!r}' if image else ''}{listed}",
            hint="Name one of them with --image." if paths else "Its author can add one with `embed = true`.",
        )
    if len(found) > 1:
        raise SettingsError(f"{container} contains several images: {_names(found)}", hint="Name one with --image.")
    return found[0]


def _names(paths: Iterable[str]) -> str:
    return ", ".join(PurePath(path).name for path in paths)


def _has_name(path: PurePath, image: str) -> bool:
    return image in (str(path), path.name, path.stem) or path.stem.endswith(f"-{image}")


def _editable_source(name: str) -> str | None:
    """Return the folder of the project whose installation is editable, or None if it is not."""
    try:
        origin = json.loads(metadata.distribution(name).read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return None
        return url2pathname(urlsplit(origin["url"]).path)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _is_image(path: Path) -> bool:
    if path.suffix in (".py", ".pyc"):
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(tuple(MAGICS.values()))
    except OSError:
        return False
