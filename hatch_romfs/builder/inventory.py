"""The inventory of an image: a document beside it with its files, where each comes from, and hashes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from hatch_romfs.collect.manifest import LOCK
from hatch_romfs.compile.mpy_cross import release
from hatch_romfs.errors import SettingsError, VerifyError, unreadable
from hatch_romfs.formats.image import image_content
from hatch_romfs.tree import MemoryContent, files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hatch_romfs.builder.bundle import BundleResult
    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Mpy
    from hatch_romfs.tree import Directory, File

START: Final = b'{\n  "hatch-romfs-inventory": 1,\n'
"""The first bytes of an inventory."""
_MAX_LISTED = 10
"""The number of files that are listed, at most, if they do not match an inventory."""


def describe(
    image: Image, tree: Directory, settings: Settings, root: Path, bundle: BundleResult | None = None
) -> bytes:
    """Return the inventory of an image that was built from ``tree``, for the project in ``root``.

    It contains nothing about the machine or the time, so it is as reproducible as the image. Bytes of a name that
    are not UTF-8 become lone surrogates, which JSON can escape.
    """
    sources = dict(files(tree))
    document = {
        "hatch-romfs-inventory": 1,
        "image": _image_facts(image),
        "mpy_cross": compiler_release(sources.values()),
        "lock_sha256": hashlib.sha256((root / LOCK).read_bytes()).hexdigest() if settings.dependencies else None,
        "bundle": bundle and _bundle_facts(bundle, settings, root),
        "files": [
            {**_provenance(path, sources[path]), **facts, "compiled": _compiled(sources[path], settings.mpy)}
            for path, facts in file_facts(image).items()
        ],
    }
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode(errors="backslashreplace")


def check(image: Image, path: Path) -> None:
    """Check an image against the inventory in the file ``path``.

    Raises SettingsError if that is not an inventory, and VerifyError with what differs.
    """
    expected_image, expected = _read(path)
    actual = file_facts(image)
    problems = [f"{name}: not in the image" for name in sorted(expected.keys() - actual.keys())]
    problems += [f"{name}: not in the inventory" for name in sorted(actual.keys() - expected.keys())]
    differences = {name: _differences(facts, expected[name]) for name, facts in actual.items() if name in expected}
    # A file with other content comes before those that it has moved.
    changed = sorted(differences.items(), key=lambda entry: "sha256" not in entry[1])
    problems += [f"{name}: {', '.join(found.values())}" for name, found in changed if found]
    if len(problems) > _MAX_LISTED:
        problems[_MAX_LISTED:] = [f"(and {len(problems) - _MAX_LISTED} more files)"]
    if found := _differences(_image_facts(image), expected_image):
        problems.insert(0, f"the image: {', '.join(found.values())}")
    if problems:
        raise VerifyError(
            [f"{image.origin} does not match {path}:", *problems],
            hint="A build writes both: one of them is from another build, or was changed.",
        )


def _image_facts(image: Image) -> dict[str, object]:
    return {"format": image.format, "size": image.size, "sha256": image.sha256()}


def _bundle_facts(bundle: BundleResult, settings: Settings, root: Path) -> dict[str, object]:
    """Return which firmware the image was put into, and where."""
    firmware = settings.bundle.firmware if settings.bundle else ""
    return {
        "path": bundle.path.name,
        "kind": bundle.kind,
        "size": bundle.size,
        "sha256": bundle.sha256,
        "address": next(iter(bundle.addresses.values())),
        "firmware": firmware,
        "firmware_sha256": hashlib.sha256((root / firmware).read_bytes()).hexdigest(),
    }


def compiler_release(sources: Iterable[File]) -> str | None:
    """Return the release of the compiler that made some of the files, or None if none was compiled."""
    compiler = next(filter(None, map(_compiler, sources)), None)
    return release(compiler) if compiler else None


def file_facts(image: Image) -> dict[str, dict[str, object]]:
    """Return the place and the hash of each file of an image, in order of path."""
    facts: dict[str, dict[str, object]] = {}
    for path, file in sorted(files(image.root), key=lambda entry: entry[0]):
        data, digest = image_content(file), hashlib.sha256()
        for chunk in data.chunks():
            digest.update(chunk)
        place = {"offset": data.offset, "size": data.size, "alignment": data.alignment}
        facts[path] = {**place, "sha256": digest.hexdigest()}
    return facts


def _provenance(path: str, file: File) -> dict[str, object]:
    """Return where a file comes from."""
    return {"path": path, "from": file.layer, "package": file.package, "source": file.source}


def _compiled(file: File, mpy: Mpy | None) -> dict[str, object] | None:
    """Return how a file was compiled, or None if it was not."""
    if mpy is None or _compiler(file) is None:
        return None
    optimize = mpy.optimize if file.optimize is None else file.optimize
    flags = {} if mpy.arch_flags is None else {"arch-flags": mpy.arch_flags}
    return {"arch": mpy.arch, "optimize": optimize, "emit": mpy.emit, **flags}


def _compiler(file: File) -> Path | None:
    return file.content.compiler if isinstance(file.content, MemoryContent) else None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what an inventory says about the image, and about each file."""
    try:
        document = json.loads(path.read_bytes())
        entries = {str(entry["path"]): {**entry} for entry in document["files"]}
        if document["hatch-romfs-inventory"] == 1 and len(entries) == len(document["files"]):
            return {**document["image"]}, entries
    except OSError as error:
        raise unreadable(path, error, "an inventory, such as dist/app.romfs.json") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise SettingsError(f"{path} is not an inventory of an image", hint="A build with `inventory = true` writes one.")


def _differences(actual: Mapping[str, object], expected: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: f"{key} is {value!s:.16}, not {expected.get(key)!s:.16}"
        for key, value in actual.items()
        if value != expected.get(key)
    }
