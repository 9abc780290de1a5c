"""What an image holds and what that was made of, as a document beside it: made of a build, held against an image."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from hatch_romfs.collect.manifest import LOCK
from hatch_romfs.compile.mpy_cross import release
from hatch_romfs.errors import SettingsError, VerifyError
from hatch_romfs.formats.image import image_content
from hatch_romfs.tree import MemoryContent, files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.model import Mpy, Settings
    from hatch_romfs.tree import Directory, File

START: Final = b'{\n  "hatch-romfs-inventory": 1,\n'
"""What an inventory begins with."""
_NAMED = 10
"""How many files are named that are not what an inventory says."""


def describe(image: Image, tree: Directory, settings: Settings, root: Path) -> bytes:
    """Return the inventory of an image that was built of ``tree`` in the folder ``root``.

    Nothing in it is of the machine, nor of the time: it is as reproducible as the image.
    """
    made = dict(files(tree))
    compilers = {compiler for file in made.values() if (compiler := _compiler(file))}
    document = {
        "hatch-romfs-inventory": 1,
        "image": _whole(image),
        "mpy_cross": release(compilers.pop()) if compilers else None,
        "lock_sha256": hashlib.sha256((root / LOCK).read_bytes()).hexdigest() if settings.dependencies else None,
        "files": [
            {"path": path, "source": made[path].source, **found, "compiled": _how(made[path], settings.mpy)}
            for path, found in _files(image).items()
        ],
    }
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode()


def check(image: Image, path: Path) -> None:
    """Hold an image against the inventory in the file ``path``.

    Raises SettingsError where that is none, and VerifyError that names what differs.
    """
    whole, listed = _read(path)
    there = _files(image)
    wrong = [f"{name}: not in the image" for name in sorted(listed.keys() - there.keys())]
    wrong += [f"{name}: not in the inventory" for name in sorted(there.keys() - listed.keys())]
    both = [(name, _differences(found, listed[name])) for name, found in there.items() if name in listed]
    both.sort(key=lambda entry: "sha256" not in entry[1])  # one that has grown comes before those that it has moved
    wrong += [f"{name}: {', '.join(found.values())}" for name, found in both if found]
    if len(wrong) > _NAMED:
        wrong[_NAMED:] = [f"(and {len(wrong) - _NAMED} files more)"]
    if changed := _differences(_whole(image), whole):
        wrong.insert(0, f"the image: {', '.join(changed.values())}")
    if wrong:
        raise VerifyError(
            "\n".join((f"{image.origin} is not what {path} says:", *wrong)),
            hint="A build writes both; one of the two is of another build, or was changed.",
        )


def _whole(image: Image) -> dict[str, object]:
    return {"format": image.format, "size": image.size, "sha256": image.sha256()}


def _files(image: Image) -> dict[str, dict[str, object]]:
    """Return where each file of an image is, and what its bytes are, in order of path."""
    found: dict[str, dict[str, object]] = {}
    for path, file in sorted(files(image.root), key=lambda entry: entry[0]):
        data, digest = image_content(file), hashlib.sha256()
        for chunk in data.chunks():
            digest.update(chunk)
        where = {"offset": data.offset, "size": data.size, "alignment": data.alignment}
        found[path] = {**where, "sha256": digest.hexdigest()}
    return found


def _how(file: File, mpy: Mpy | None) -> dict[str, object] | None:
    """Return how a file was compiled, None where it was not."""
    if mpy is None or _compiler(file) is None:
        return None
    optimize = mpy.optimize if file.optimize is None else file.optimize
    return {"arch": mpy.arch, "optimize": optimize, "emit": mpy.emit}


def _compiler(file: File) -> Path | None:
    return file.content.compiler if isinstance(file.content, MemoryContent) else None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what an inventory says of the image, and of each file."""
    try:
        document = json.loads(path.read_bytes())
        entries = {str(entry["path"]): {**entry} for entry in document["files"]}
        if document["hatch-romfs-inventory"] == 1 and len(entries) == len(document["files"]):
            return {**document["image"]}, entries
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise SettingsError(f"{path} is no inventory of an image", hint="A build with 'inventory = true' writes one.")


def _differences(found: Mapping[str, object], said: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: f"{key} is {value!s:.16}, not {said.get(key)!s:.16}"
        for key, value in found.items()
        if value != said.get(key)
    }
