"""What manifests and mip packages add to a tree: the results of the manifest library, as files."""

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
    """Yield the path and the file of everything in the manifests that the firmware does not have; add to ``warnings``.

    Raises BuildError for a manifest that is wrong, or that cannot be evaluated safely.
    """
    for source in settings.manifest:
        evaluated = _evaluate(root / source.path, source, root)
        warnings += evaluated.warnings
        frozen = {
            _module(entry.target)
            for provided in source.provided
            for entry in _evaluate(root / provided, source, root).entries
        }
        for entry in evaluated.entries:
            if _module(entry.target) not in frozen:
                yield entry.target, _file(entry, root.resolve())


def manifest_sources(settings: Settings, root: Path) -> set[Path]:
    """Return every manifest and every file in one: what must exist for the image to be built."""
    sources = set()
    for source in settings.manifest:
        for path in (source.path, *source.provided):
            evaluated = _evaluate(root / path, source, root)
            sources |= {*evaluated.manifests, *(entry.source for entry in evaluated.entries)}
    return {path.resolve() for path in sources}


def package_files(settings: Settings, root: Path) -> Iterator[tuple[str, File]]:
    """Yield the path and the file of everything in the packages of the lock.

    Raises BuildError if the lock does not match ``dependencies``, or a file cannot be downloaded.
    """
    if not settings.dependencies:
        return
    from romfs_manifest import check_lock, fetch, read_lock, user_cache  # noqa: PLC0415 - few projects have any

    path = root / LOCK
    with _as_build_errors():
        if not path.exists():
            raise BuildError(
                f"{path} does not exist", hint="Run 'romfs-manifest lock', and commit the file that it writes."
            )
        lock = read_lock(path)
        check_lock(lock, settings.dependencies)
        found = fetch(lock, user_cache())
    origins = {file.target: f"{package} of {LOCK}" for package in lock.packages for file in package.files}
    for target, data in found.items():
        yield target, File(MemoryContent(data), origins[target], verbatim=target.endswith(".mpy"))


def _evaluate(path: Path, source: ManifestSource, root: Path) -> Manifest:
    from romfs_manifest import evaluate  # noqa: PLC0415 - few projects have a manifest

    variables = {name: _path(value, root) for name, value in source.variables.items()}
    libraries = {name: root / folder for name, folder in source.libraries.items()}
    with _as_build_errors():
        return evaluate(path, variables=variables, libraries=libraries)


def _path(value: str, root: Path) -> str:
    """Return the value of a variable; a path is relative to the project, wherever the build was started."""
    return str((root / value).resolve()) if (root / value).exists() else value


def _file(entry: Entry, root: Path) -> File:
    from romfs_manifest import read_entry  # noqa: PLC0415

    origin = f"{entry.source}, of {entry.manifest}:{entry.line}"
    if entry.version is None:
        status = entry.source.stat()
        content: MemoryContent | DiskContent = DiskContent(str(entry.source), status.st_size, status.st_mtime_ns)
    else:
        with _as_build_errors():
            content = MemoryContent(read_entry(entry))
    real = entry.source.resolve()
    source = real.relative_to(root).as_posix() if real.is_relative_to(root) else None
    return File(content, origin, optimize=entry.opt, verbatim=entry.kind != "mpy", source=source)


def _module(target: str) -> str:
    stem, suffix = os.path.splitext(target)  # noqa: PTH122 - a path inside an image
    return stem if suffix in _MODULES else target


@contextmanager
def _as_build_errors() -> Iterator[None]:
    """Raise the errors of the manifest library as errors of the build."""
    from romfs_manifest import ManifestError  # noqa: PLC0415

    try:
        yield
    except ManifestError as error:
        raise BuildError(str(error), hint=error.hint) from error
    except OSError as error:
        raise BuildError(f"cannot read {error.filename}: {error.strerror}") from error
