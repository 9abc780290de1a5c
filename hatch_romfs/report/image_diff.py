"""What differs between two images: files, folders, and the erase blocks that a flash would write."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict, cast

from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.paths import show_name
from hatch_romfs.report.image_map import Entry, ImageMap, entries, make_map
from hatch_romfs.report.source import opened
from hatch_romfs.tree import Directory, File, walk

if TYPE_CHECKING:
    import os

    from hatch_romfs.formats.image import Image

BLOCK: Final = 4096
"""The size of erase blocks in bytes, where nothing else is known: that of most flash."""

Status = Literal["added", "removed", "changed", "moved"]
"""What happened to a file; ``moved`` is one with the same bytes at another place in the image."""
STATUSES: Final[tuple[Status, ...]] = ("added", "removed", "changed", "moved")


class Change(NamedTuple):
    """A file, link, special file, or empty folder that differs, with the bytes of its data; None if it is missing."""

    path: str
    status: Status
    before: int | None
    after: int | None


class FolderChange(NamedTuple):
    """A folder, and all bytes of it and of everything inside it; the root is ``""``."""

    path: str
    before: int
    after: int


class ImageDiff(NamedTuple):
    """The difference between two images.

    ``blocks`` is the number of erase blocks that the second image covers, and ``changed_blocks`` are the numbers of
    those that writing it over the first image would change, from 0 on.
    """

    before: ImageMap
    after: ImageMap
    is_equal: bool
    changes: tuple[Change, ...]
    folders: tuple[FolderChange, ...]
    block_size: int
    blocks: int
    changed_blocks: tuple[int, ...]

    def paths(self, status: Status) -> list[str]:
        """Return the paths with this status."""
        return [change.path for change in self.changes if change.status == status]


class ChangeDocument(TypedDict):
    """A path that differs, for machines."""

    path: str
    status: str
    before: int | None
    after: int | None


class FolderDocument(TypedDict):
    """A folder whose size differs, for machines."""

    path: str
    before: int
    after: int


class DiffDocument(TypedDict):
    """A difference for machines; the lists are paths."""

    equal: bool
    size_before: int
    size_after: int
    added: list[str]
    removed: list[str]
    changed: list[str]
    moved: list[str]
    changes: list[ChangeDocument]
    folders: list[FolderDocument]
    block_size: int
    blocks: int
    blocks_changed: int


def image_diff(
    a: Image | str | os.PathLike[str], b: Image | str | os.PathLike[str], *, block: int = BLOCK
) -> DiffDocument:
    """Return what differs between two images, or image files; ``block`` is the size of erase blocks in bytes.

    Raises SettingsError if a file cannot be read, and ImageError if it is not a valid image.
    """
    with opened(a) as before, opened(b) as after:
        return diff_document(compare(before, after, block))


def compare(before: Image, after: Image, block: int = BLOCK) -> ImageDiff:
    """Return what differs between two images."""
    maps = make_map(before), make_map(after)
    differing = _differing_blocks(before, after, block)
    return ImageDiff(
        *maps,
        is_equal=before.size == after.size and not differing,
        changes=tuple(_changes(before, after)),
        folders=tuple(_folder_changes(*(entries(found.cells) for found in maps))),
        block_size=block,
        blocks=-(-after.size // block),
        # The block of the header is always written, because its magic makes the image valid.
        changed_blocks=tuple(sorted({0, *differing})) if differing else (),
    )


def diff_document(diff: ImageDiff) -> DiffDocument:
    """Return a difference for machines."""
    return {
        "equal": diff.is_equal,
        "size_before": diff.before.size,
        "size_after": diff.after.size,
        "added": list(map(show_name, diff.paths("added"))),
        "removed": list(map(show_name, diff.paths("removed"))),
        "changed": list(map(show_name, diff.paths("changed"))),
        "moved": list(map(show_name, diff.paths("moved"))),
        "changes": [
            cast("ChangeDocument", change._replace(path=show_name(change.path))._asdict()) for change in diff.changes
        ],
        "folders": [
            cast("FolderDocument", folder._replace(path=show_name(folder.path))._asdict()) for folder in diff.folders
        ],
        "block_size": diff.block_size,
        "blocks": diff.blocks,
        "blocks_changed": len(diff.changed_blocks),
    }


class _Leaf(NamedTuple):
    """A node that is compared: everything about it but its data; the data is empty except for files."""

    facts: tuple[object, ...]
    file: File | None = None

    @property
    def size(self) -> int:
        return self.file.size if self.file else 0

    @property
    def offset(self) -> int:
        return image_content(self.file).offset if self.file else 0

    def digest(self) -> bytes:
        digest = hashlib.sha256()
        for chunk in self.file.content.chunks() if self.file else ():
            digest.update(chunk)
        return digest.digest()


def _leaves(image: Image) -> dict[str, _Leaf]:
    """Return what is compared, by path: everything but folders that are not empty."""
    same = hard_links(image.root) if image.format == "linux" else {}
    leaves = {}
    for path, node in walk(image.root):
        if isinstance(node, Directory):
            if not node.entries:
                leaves[f"{path}/"] = _Leaf(("directory", node.executable))
        elif isinstance(node, File):
            leaves[path] = _Leaf(("file", node.executable, same.get(path)), node)
        else:
            leaves[path] = _Leaf((type(node).__name__, *node, same.get(path)))
    return leaves


def _changes(before: Image, after: Image) -> list[Change]:
    old, new = _leaves(before), _leaves(after)
    changes = []
    for path in sorted({*old, *new}):
        a, b = old.get(path), new.get(path)
        if a is None or b is None:
            status: Status | None = "added" if a is None else "removed"
        else:
            status = _status(a, b)
        if status is not None:
            changes.append(Change(path, status, None if a is None else a.size, None if b is None else b.size))
    return changes


def _status(a: _Leaf, b: _Leaf) -> Status | None:
    if a.facts != b.facts or a.size != b.size or a.digest() != b.digest():
        return "changed"
    return "moved" if a.size and a.offset != b.offset else None


def _folder_changes(before: Entry, after: Entry) -> list[FolderChange]:
    """Return the folders whose size differs, the root first."""
    sizes = [_folder_sizes(root) for root in (before, after)]
    rows = (FolderChange(path, *(side.get(path, 0) for side in sizes)) for path in sorted({*sizes[0], *sizes[1]}))
    return [row for row in rows if row.before != row.after]


def _folder_sizes(root: Entry) -> dict[str, int]:
    return {entry.path: entry.size for entry in (root, *root.walk()) if entry.children}


def _differing_blocks(before: Image, after: Image, block: int) -> list[int]:
    """Return the numbers of the blocks of the second image that differ in the first one."""
    differing = []
    for number, start in enumerate(range(0, after.size, block)):
        end = min(start + block, after.size)
        if end > before.size or bytes(before.view[start:end]) != bytes(after.view[start:end]):
            differing.append(number)
    return differing
