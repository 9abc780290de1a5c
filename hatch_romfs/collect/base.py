"""The image below the sources: which of its files stay. It is read as strictly as any image from a stranger."""

from __future__ import annotations

import os
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError, Problem, SettingsError
from hatch_romfs.formats import MAGICS, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.paths import join, show_name
from hatch_romfs.settings.patterns import compile_patterns
from hatch_romfs.settings.values import MAX_ALIGNMENT
from hatch_romfs.tree import Directory, DiskContent, File, NestedImage, PartContent, walk
from romfs_manifest.shared.opening import identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.patterns import Match
    from hatch_romfs.tree import Leaf, Node

_LARGEST_ALIGNMENT = 4096
"""Bytes of the largest alignment that is preserved, except for nested images, which can contain larger ones.

Every offset has some alignment, even by chance. Preserving it costs little: half of all offsets are odd,
and each larger alignment is half as frequent.
"""


class Base(NamedTuple):
    """What stays of a base: its tree, and warnings."""

    tree: Directory
    warnings: tuple[str, ...]


def read_base(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> Base:
    """Return what stays of the base that the settings name; nothing if they name none.

    The build will write ``outputs``. Raises SettingsError for a base that cannot be used, and ImageError for a file
    that is not a valid image.
    """
    if settings.base is None:
        return Base(Directory(), ())
    path = os.path.realpath(root / settings.base)
    if any(os.path.realpath(out) == path for out in outputs):
        raise _problem(settings, "is the file that this build writes: the next build would begin with its result")
    try:
        status = Path(path).stat()
        file = DiskContent(path, status.st_size, status.st_mtime_ns, identity(status))
        with open_image(path) as image:
            image.check()
            if image.format != settings.format:
                raise _problem(settings, f"is an image of format {image.format!r}, not {settings.format!r}")
            tree = _Reading(settings, file, compile_patterns(settings.base_exclude)).directory(image.root, "")
            return Base(tree, tuple(_unused_patterns(settings, image)))
    except OSError as error:
        raise _problem(settings, f"cannot be read: {error.strerror}") from error
    except ImageError as error:
        hint = (
            f"{settings.where('base')} names it. Copy it again, or run `git lfs pull` if it is a pointer to the file."
        )
        raise ImageError(
            f"{settings.base}: {_without_path(error.what, path)}", offset=error.offset, hint=hint
        ) from None


def _without_path(message: str, path: str) -> str:
    return message.removeprefix(f"{path}: ")


def _problem(settings: Settings, text: str) -> SettingsError:
    return SettingsError([Problem(settings.where("base"), f"{settings.base} {text}")])


class _Reading:
    """A base that is being read: its settings, its file, and what is excluded."""

    def __init__(self, settings: Settings, file: DiskContent, excludes: Match) -> None:
        self.name = Path(settings.base or "").as_posix()
        self.source = None if Path(self.name).is_absolute() else normpath(self.name)
        self.file, self.excludes = file, excludes
        self.leaves: dict[int, Leaf] = {}
        """The leaf for each node of the base: one that has several names (hard links) keeps all of them."""

    def directory(self, found: Directory, path: str) -> Directory:
        """Return what stays of a directory; one in which nothing stays is left out, unless it was empty before."""
        entries: dict[str, Node] = {}
        for name, node in found.entries.items():
            here = join(path, name)
            if self.excludes(f"{here}/" if isinstance(node, Directory) else here):
                continue
            if not isinstance(node, Directory):
                entries[name] = self.leaf(node, here)
                continue
            inner = self.directory(node, here)
            if inner.entries or not node.entries:
                entries[name] = inner
        return Directory(entries, executable=found.executable)

    def leaf(self, node: Leaf, path: str) -> Leaf:
        """Return a leaf that can be packed when the base is closed."""
        if id(node) not in self.leaves:
            origin = f"{self.name}: {show_name(path)}"
            if isinstance(node, File):
                self.leaves[id(node)] = self.content(node, path, origin)
            elif isinstance(node, NestedImage):  # no reader returns one
                raise TypeError(path)
            else:
                self.leaves[id(node)] = node._replace(origin=origin)
        return self.leaves[id(node)]

    def content(self, node: File, path: str, origin: str) -> File:
        """Return a file with the same bytes, alignment, and permission to be executed."""
        data = image_content(node)
        start = bytes(data.image[data.offset : data.offset + min(data.size, len(MAGICS["micropython"]))])
        largest = MAX_ALIGNMENT if start == MAGICS["micropython"] else _LARGEST_ALIGNMENT
        return File(
            PartContent(self.file, data.offset, data.size),
            origin,
            node.executable,
            verbatim=path.endswith(".py"),
            source=self.source,
            alignment=min(data.alignment, largest) if data.size else 1,
            layer="base",
        )


def _unused_patterns(settings: Settings, image: Image) -> Iterator[str]:
    """Yield a warning for each pattern that excludes nothing, such as one for an older version of the base."""
    paths: list[str] = []
    for pattern in settings.base_exclude:
        paths = paths or [f"{path}/" if isinstance(node, Directory) else path for path, node in walk(image.root)]
        if not any(map(compile_patterns([pattern.removeprefix("!")]), paths)):
            yield f"{settings.where('base_exclude')}: {pattern!r} matches nothing in {settings.base}"
