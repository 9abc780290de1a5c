"""What an evaluated manifest is: files with where they go and how they are treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from romfs_manifest.disk import read
from romfs_manifest.errors import ManifestError
from romfs_manifest.version import tagged

if TYPE_CHECKING:
    from pathlib import Path

MAX_ENTRIES = 20_000
"""Files of a manifest and all that it includes, at most."""

MPY_VERSION = 6
"""The ``.mpy`` version of the first MicroPython that knows ROMFS, and of all since."""


class Entry(NamedTuple):
    """One file for an image.

    ``target`` is its path there as the manifest names it, and ``source`` the file, absolute. ``kind`` is ``mpy`` for
    a ``.py`` that is to be compiled, with ``opt`` as the level of mpy-cross if not None, ``str`` for a ``.py`` that
    stays one, and ``copy`` for a ready ``.mpy``. ``manifest`` and ``line`` say which call names it; ``version`` is
    what ``__version__`` is to be set to at its end, or None.
    """

    target: str
    source: Path
    kind: str
    opt: int | None
    manifest: Path
    line: int
    version: str | None


class Manifest(NamedTuple):
    """A manifest and all that it includes: its own metadata, the files by target, and what its user should hear.

    ``manifests`` are the files that were read for it, absolute, each once.
    """

    metadata: dict[str, object]
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]
    manifests: tuple[Path, ...]


def read_entry(entry: Entry) -> bytes:
    """Return the bytes of an entry's file, with its version's line; raises ManifestError."""
    data = read(entry.source)
    if entry.version is None:
        return data
    return tagged(data, entry.version)


def check_mpy(source: Path) -> None:
    """Raise ManifestError unless ``source`` begins as a ``.mpy`` does that a board with ROMFS can load."""
    header = read(source)[:4]
    if len(header) < 4 or header[:1] != b"M":  # noqa: PLR2004 - version, flags, and bits of small integers follow
        raise ManifestError(f"{source} is not an .mpy file of MicroPython", hint="Compile its .py anew.")
    if header[1] < MPY_VERSION:
        raise ManifestError(
            f"{source} has .mpy version {header[1]}, and boards with ROMFS load version {MPY_VERSION} or later",
            hint="Compile its .py anew.",
        )


class Entries:
    """Entries by the module that they are on a board; each is there once."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> str | None:
        """Add an entry; return a warning where it is there already, to be treated in another way.

        Raises ManifestError where another file has its place, and where there are too many.
        """
        # a.py is compiled to a.mpy, so that both have one place.
        before = self._entries.setdefault(entry.target.rpartition(".")[0], entry)
        if len(self._entries) > MAX_ENTRIES:
            raise ManifestError(f"the manifest has more than {MAX_ENTRIES:,} files", hint="Name fewer.")
        if before.source != entry.source and read(before.source) != read(entry.source):
            raise ManifestError(
                f"{entry.target!r} has two sources: {entry.source}, and {before.source}"
                f" from {before.manifest}:{before.line}",
                hint="Remove one of the two calls, or name the files that each is to add.",
            )
        if (before.kind, before.opt, before.version) == (entry.kind, entry.opt, entry.version):
            return None
        return f"{entry.target!r} is treated as {before.manifest}:{before.line} says, not as here"

    def sorted(self) -> tuple[Entry, ...]:
        """Return all, sorted by target."""
        return tuple(sorted(self._entries.values()))
