"""Images that wheels have brought with them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import MAGICS


def installed_image(name: str, image: str | None = None) -> Path:
    """Return the path of the image that the installed distribution ``name`` has brought.

    Where it has brought several, ``image`` is the file's name or what ends it, such as ``assets`` of
    ``app-assets.romfs``. Raises SettingsError where there is none, or more than one could be meant.
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
            f"{name} has brought no image{f' {image!r}' if image else ''}", hint="embed = true does that."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SettingsError(f"{name} has brought several images: {names}", hint="Name one of them.")
    return found[0]


def _is_image(path: Path) -> bool:
    if path.suffix in (".py", ".pyc"):
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(tuple(MAGICS.values()))
    except OSError:
        return False
