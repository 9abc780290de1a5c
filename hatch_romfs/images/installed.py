"""The images that installed packages contain."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import MAGICS


def installed_image(name: str, image: str | None = None) -> Path:
    """Return the path of the image in the installed distribution ``name``.

    If it contains several, ``image`` is the name of the file, or the end of that, such as ``assets`` for
    ``app-assets.romfs``. Raises SettingsError if there is no such image, or more than one.
    """
    try:
        files = metadata.files(name) or []
    except (metadata.PackageNotFoundError, ValueError):
        raise SettingsError(f"{name} is not installed here", hint=f"pip install {name}") from None
    found = sorted({path for file in files if _is_image(path := Path(str(file.locate())))})
    if image is not None:
        found = [path for path in found if image in (path.name, path.stem) or path.stem.endswith(f"-{image}")]
    if not found:
        raise SettingsError(
            f"the installed package {name} contains no ROMFS image{f' {image!r}' if image else ''}",
            hint="Its author can add one with `embed = true`.",
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SettingsError(
            f"the installed package {name} contains several images: {names}", hint="Name one with --image."
        )
    return found[0]


def _is_image(path: Path) -> bool:
    if path.suffix in (".py", ".pyc"):
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(tuple(MAGICS.values()))
    except OSError:
        return False
