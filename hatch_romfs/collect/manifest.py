"""What manifests and mip packages add to a tree: the results of the manifest library, as files."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.tree import DiskContent, File, MemoryContent
from romfs_manifest.shared.opening import identity, status_beneath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import ManifestSource
    from romfs_manifest import Entry, Manifest

LOCK = "romfs.lock"
_MODULES = (".py", ".mpy")
_LICENSE_WITHIN = 4096
"""Bytes of a file in which its license can be stated."""


def manifest_files(settings: Settings, root: Path, warnings: list[str], frozen: set[str]) -> Iterator[tuple[str, File]]:
    """Yield the path and the file of everything in the manifests that the firmware does not have.

    Adds to ``warnings``, and adds the modules that the firmware has to ``frozen``.
    Raises BuildError for a manifest that is wrong, or that cannot be evaluated safely.
    """
    for source in settings.manifest:
        evaluated = _evaluate(root / source.path, source, root)
        trusted = _trusted_folders(source, root)
        warnings += evaluated.warnings
        provided = {
            _module(entry.target) for path in source.provided for entry in _evaluate(root / path, source, root).entries
        }
        frozen |= provided
        for entry in evaluated.entries:
            if _module(entry.target) not in provided:
                yield entry.target, _file(entry, trusted)


def manifest_sources(settings: Settings, root: Path) -> set[Path]:
    """Return every file that manifests and packages of the project need, so that the image can be built elsewhere.

    These are the manifests, the files that they name, and the files of locked packages in folders of the project.
    """
    sources = _local_package_files(settings, root)
    for source in settings.manifest:
        for path in (source.path, *source.provided):
            evaluated = _evaluate(root / path, source, root)
            sources |= {*evaluated.manifests, *(entry.source for entry in evaluated.entries)}
    return {path.resolve() for path in sources}


def _local_package_files(settings: Settings, root: Path) -> set[Path]:
    """Return the files of locked packages on this machine; a lock that is missing or invalid fails the build later."""
    if not settings.dependencies or not (root / LOCK).is_file():
        return set()
    from romfs_manifest import read_lock  # noqa: PLC0415 - few projects have any

    with translate_errors():
        return {root / path for path in read_lock(root / LOCK).local_files()}


def package_files(settings: Settings, root: Path, warnings: list[str]) -> Iterator[tuple[str, File]]:
    """Yield the path and the file of everything in the packages of the lock; add to ``warnings``.

    The variable ROMFS_INDEX names an index that must be named. Raises BuildError if the lock does not match
    ``dependencies``, or a file cannot be fetched.
    """
    if not settings.dependencies:
        return
    # Few projects have any.
    from romfs_manifest import check_lock, fetch, read_lock, user_cache  # noqa: PLC0415
    from romfs_manifest.mip.policy import INDEX_VARIABLE  # noqa: PLC0415

    path = root / LOCK
    with translate_errors():
        lock = read_lock(path)
        check_lock(lock, settings.dependencies)
        index = os.environ.get(INDEX_VARIABLE)
        found = fetch(lock, user_cache(), root=root, index=index, on_warning=warnings.append)
    packages = {file.target: str(package) for package in lock.packages for file in package.files}
    for target, data in found.items():
        package = packages[target]
        yield (
            target,
            File(
                MemoryContent(data),
                f"{package} of {LOCK}",
                verbatim=target.endswith(".mpy"),
                layer="package",
                package=package,
                license=_stated_license(data),
            ),
        )


class PackageFacts(NamedTuple):
    """What a lock says about a mip package: ``title`` is its name and version, as in the ``package`` of its files.

    ``downloads`` are path in the image, URL, and SHA-256 of each file, from the index at ``index_url``. ``needs`` are
    the titles of packages that it needs; ``is_direct`` says whether the project itself asks for it.
    """

    title: str
    name: str
    version: str
    index_url: str
    downloads: tuple[tuple[str, str, str], ...]
    needs: tuple[str, ...]
    is_direct: bool


def locked_packages(settings: Settings, root: Path) -> list[PackageFacts]:
    """Return what the lock says about each package. Raises BuildError."""
    if not settings.dependencies:
        return []
    from romfs_manifest import read_lock  # noqa: PLC0415 - few projects have any
    from romfs_manifest.mip.names import parse_request  # noqa: PLC0415

    with translate_errors():
        lock = read_lock(root / LOCK)

    def satisfying(requests: Iterable[str]) -> tuple[str, ...]:
        wanted = [parse_request(request) for request in requests]
        return tuple(str(package) for package in lock.packages if any(map(package.satisfies, wanted)))

    direct = satisfying(lock.requests)
    return [
        PackageFacts(
            title=str(package),
            name=package.name,
            version=package.version,
            index_url=lock.index_url,
            downloads=tuple((file.target, file.url, file.sha256) for file in package.files),
            needs=satisfying(package.dependencies),
            is_direct=str(package) in direct,
        )
        for package in lock.packages
    ]


def _stated_license(data: bytes) -> str | None:
    """Return what the first lines of a file state in the form of SPDX, or None."""
    found = re.search(rb"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+()\- ]+)", data[:_LICENSE_WITHIN])
    return found[1].decode().strip() if found else None


def _evaluate(path: Path, source: ManifestSource, root: Path) -> Manifest:
    from romfs_manifest import evaluate  # noqa: PLC0415 - few projects have a manifest

    variables = {name: _path(value, root) for name, value in source.variables.items()}
    libraries = {name: root / folder for name, folder in source.libraries.items()}
    with translate_errors():
        return evaluate(path, variables=variables, libraries=libraries, folders=[root])


def _path(value: str, root: Path) -> str:
    """Return the value of a variable; a path is relative to the project, wherever the build was started."""
    return str((root / value).resolve()) if (root / value).exists() else value


def _trusted_folders(source: ManifestSource, root: Path) -> list[Path]:
    """Return the real paths of the folders in which files of a manifest can be."""
    named = (_path(value, root) for value in source.variables.values())
    libraries = (root / folder for folder in source.libraries.values())
    return [
        root.resolve(),
        *(Path(path).resolve() for path in named if Path(path).is_absolute()),
        *map(Path.resolve, libraries),
    ]


def _file(entry: Entry, trusted: list[Path]) -> File:
    from romfs_manifest import read_entry  # noqa: PLC0415

    origin = f"{entry.source}, of {entry.manifest}:{entry.line}"
    with translate_errors():  # a link that is replaced while it is followed
        real = entry.source.resolve()
    if entry.version is None:
        content: MemoryContent | DiskContent = _disk_content(entry.source, real, trusted)
    else:
        with translate_errors():
            content = MemoryContent(read_entry(entry))
    root = trusted[0]
    source = real.relative_to(root).as_posix() if real.is_relative_to(root) else None
    verbatim = entry.kind != "mpy"
    return File(content, origin, optimize=entry.opt, verbatim=verbatim, source=source, layer="manifest")


def _disk_content(path: Path, real: Path, trusted: list[Path]) -> DiskContent:
    """Return the content of a file that a manifest names, unless its path has since come to lead elsewhere."""
    folder = next((folder for folder in trusted if real.is_relative_to(folder)), None)
    if folder is None and path.is_relative_to(trusted[0]):
        raise BuildError(f"{path} changed while the image was being built", hint="Build again.")
    with translate_errors():
        status = real.stat() if folder is None else status_beneath(str(folder), str(real))
    return DiskContent(str(real), status.st_size, status.st_mtime_ns, identity(status))


def _module(target: str) -> str:
    stem, suffix = os.path.splitext(target)  # noqa: PTH122 - a path inside an image
    return stem if suffix in _MODULES else target


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the errors of the manifest library as errors of this one, with the same exit status."""
    from romfs_manifest.errors import ManifestError  # noqa: PLC0415 - few projects have a manifest

    try:
        yield
    except ManifestError as error:
        kind = SettingsError if error.status == SettingsError.status else BuildError
        raise kind(str(error).split("\n"), hint=error.hint) from error
    except OSError as error:
        raise BuildError(f"cannot read {error.filename}: {error.strerror}") from error
