"""The result of an evaluation: files, with their paths in the image and how they are treated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.files import read_file
from romfs_manifest.manifest.version_tag import add_version, has_version
from romfs_manifest.shared.mpy import MPY_VERSION, read_mpy_fields

if TYPE_CHECKING:
    from pathlib import Path

MAX_ENTRIES = 20_000
"""Maximum number of files of a manifest and all manifests that it includes."""


class Entry(NamedTuple):
    """One file for an image.

    ``target`` is its path in the image as the manifest names it, and ``source`` the file's absolute path. ``kind`` is
    ``mpy`` for a ``.py`` to compile, with ``opt`` as the optimization level of mpy-cross if not None, ``str`` for a
    ``.py`` to keep, and ``copy`` for a ready ``.mpy``. ``manifest`` and ``line`` are the call that names it.
    ``version`` is what a line at its end sets ``__version__`` to, or None.
    """

    target: str
    source: Path
    kind: str
    opt: int | None
    manifest: Path
    line: int
    version: str | None


class Manifest(NamedTuple):
    """An evaluated manifest: its metadata, files sorted by target, and warnings.

    ``manifests`` are the absolute paths of all manifests that were read.
    """

    metadata: dict[str, object]
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]
    manifests: tuple[Path, ...]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.entries):,} files, {len(self.warnings):,} warnings>"


def read_entry(entry: Entry) -> bytes:
    """Return the bytes of an entry's file, with the line that sets its version; raises ManifestError."""
    data = read_file(entry.source)
    if entry.version is None:
        return data
    return add_version(data, entry.version)


def check_mpy(source: Path) -> None:
    """Raise ManifestError unless ``source`` has the header of a ``.mpy`` file that boards with ROMFS can load."""
    header = read_mpy_fields(read_file(source)[:4])
    if header is None:
        raise ManifestError(f"{source} is not a .mpy file of MicroPython", hint="Compile its .py again.")
    if header.version < MPY_VERSION:
        raise ManifestError(
            f"{source} has .mpy version {header.version}, but boards with ROMFS load version {MPY_VERSION} or later",
            hint="Compile its .py again.",
        )


@dataclass
class Package:
    """A package, whose modules share one version.

    Its manifest and the manifests that this includes form one package; each ``require`` begins another. The version
    is known only when all of them were evaluated.
    """

    metadata: dict[str, object] | None = None

    @property
    def version(self) -> str | None:
        """The version that its metadata gives, if any."""
        version = (self.metadata or {}).get("version")
        return version if isinstance(version, str) and version else None


class Entries:
    """Entries by module; each module is added once."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry, Package]] = {}

    def add(self, entry: Entry, package: Package) -> str | None:
        """Add an entry; return a warning if it was added before and is treated differently.

        Raises ManifestError if another file has the same path, and if there are too many files.
        """
        # a.py becomes a.mpy, so both are one module.
        before, owner = self._entries.setdefault(entry.target.rpartition(".")[0], (entry, package))
        if len(self._entries) > MAX_ENTRIES:
            raise ManifestError(f"the manifest names more than {MAX_ENTRIES:,} files", hint="Name fewer files.")
        if before.source != entry.source and read_file(before.source) != read_file(entry.source):
            raise ManifestError(
                f"two sources for {entry.target!r}: {entry.source}, and {before.source}"
                f" from {before.manifest}:{before.line}",
                hint="Remove one of the two calls, or name the files that each one adds.",
            )
        if (before.kind, before.opt, owner.version) == (entry.kind, entry.opt, package.version):
            return None
        return f"{entry.target!r} was added before, by {before.manifest}:{before.line}; this call changes nothing"

    def result(self) -> tuple[Entry, ...]:
        """Return all entries with their versions, sorted by target."""
        return tuple(sorted(_with_version(entry, package) for entry, package in self._entries.values()))


def _with_version(entry: Entry, package: Package) -> Entry:
    if entry.kind != "mpy" or not package.version or has_version(read_file(entry.source)):
        return entry
    return entry._replace(version=package.version)
