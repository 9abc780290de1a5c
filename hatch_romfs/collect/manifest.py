"""What manifests and mip packages add to a tree: the manifest tool's results, in this project's terms."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError
from hatch_romfs.tree import DiskContent, File, MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.settings.model import ManifestSource, Settings
    from romfs_manifest import Entry, Manifest

LOCK = "romfs.lock"
_MODULES = (".py", ".mpy")


def manifest_files(settings: Settings, root: Path, warnings: list[str]) -> Iterator[tuple[str, File]]:
    """Yield the path and the file of all that the manifests name and no firmware has; add what they warn of.

    Raises BuildError for a manifest that is wrong, or cannot be evaluated safely.
    """
    for source in settings.manifest:
        made = _evaluated(root / source.path, source, root)
        warnings += made.warnings
        frozen = {
            _module(entry.target)
            for provided in source.provided
            for entry in _evaluated(root / provided, source, root).entries
        }
        for entry in made.entries:
            if _module(entry.target) not in frozen:
                yield entry.target, _file(entry, root.resolve())


def manifest_sources(settings: Settings, root: Path) -> set[Path]:
    """Return every file that the manifests are, or name: what must be there for the image to be built."""
    sources = set()
    for source in settings.manifest:
        for path in (source.path, *source.provided):
            made = _evaluated(root / path, source, root)
            sources |= {*made.manifests, *(entry.source for entry in made.entries)}
    return {path.resolve() for path in sources}


def package_files(settings: Settings, root: Path) -> Iterator[tuple[str, File]]:
    """Yield the path and the file of everything in the packages that the lock has pinned.

    Raises BuildError where the lock is not one for ``dependencies``, or its bytes cannot be had.
    """
    if not settings.dependencies:
        return
    from romfs_manifest import check_lock, fetch, read_lock, user_cache  # noqa: PLC0415 - few projects have any

    path = root / LOCK
    with _told():
        if not path.exists():
            raise BuildError(f"there is no {path}", hint="Run 'romfs-manifest lock', and keep what it writes.")
        lock = read_lock(path)
        check_lock(lock, settings.dependencies)
        found = fetch(lock, user_cache())
    origins = {file.target: f"{package} of {LOCK}" for package in lock.packages for file in package.files}
    for target, data in found.items():
        yield target, File(MemoryContent(data), origins[target], verbatim=target.endswith(".mpy"))


def _evaluated(path: Path, source: ManifestSource, root: Path) -> Manifest:
    from romfs_manifest import evaluate  # noqa: PLC0415 - few projects have a manifest

    variables = {name: _path(value, root) for name, value in source.variables.items()}
    libraries = {name: root / folder for name, folder in source.libraries.items()}
    with _told():
        return evaluate(path, variables=variables, libraries=libraries)


def _path(value: str, root: Path) -> str:
    """Return a variable's value; a path counts from the project, wherever the build was started."""
    return str((root / value).resolve()) if (root / value).exists() else value


def _file(entry: Entry, root: Path) -> File:
    from romfs_manifest import read_entry  # noqa: PLC0415

    origin = f"{entry.source}, of {entry.manifest}:{entry.line}"
    if entry.version is None:
        status = entry.source.stat()
        content: MemoryContent | DiskContent = DiskContent(str(entry.source), status.st_size, status.st_mtime_ns)
    else:
        with _told():
            content = MemoryContent(read_entry(entry))
    real = entry.source.resolve()
    source = real.relative_to(root).as_posix() if real.is_relative_to(root) else None
    return File(content, origin, optimize=entry.opt, verbatim=entry.kind != "mpy", source=source)


def _module(target: str) -> str:
    stem, suffix = os.path.splitext(target)  # noqa: PTH122 - a path inside an image
    return stem if suffix in _MODULES else target


@contextmanager
def _told() -> Iterator[None]:
    """Raise the manifest tool's errors as errors of the build."""
    from romfs_manifest import ManifestError  # noqa: PLC0415

    try:
        yield
    except ManifestError as error:
        raise BuildError(str(error), hint=error.hint) from error
    except OSError as error:
        raise BuildError(f"cannot read {error.filename}: {error.strerror}") from error
