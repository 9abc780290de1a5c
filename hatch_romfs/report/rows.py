"""The order of the rows of a map, wherever they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hatch_romfs.paths import show_name
from hatch_romfs.report.cells import GROUP_OF, GROUPS
from hatch_romfs.report.image_map import Entry, by_kind, by_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.report.image_diff import ImageDiff
    from hatch_romfs.report.image_map import ImageMap

_SMALL: Final = 200
"""A file smaller than this part of the image is shown together with others."""
_MOST_PATHS: Final = 4
"""The number of files that are named in the line of an erase block."""
_ORDER: Final = {group: number for number, group in enumerate(GROUPS)}


class Row(NamedTuple):
    """A row of a tree: the lines that connect it to its folder, its name, and what it contains."""

    guide: str
    name: str
    entry: Entry


def sort_key(order: str) -> Callable[[Entry], tuple[object, ...]]:
    """Return the key by which entries are sorted: by ``size``, ``path``, or main ``kind``."""
    keys: dict[str, Callable[[Entry], tuple[object, ...]]] = {
        "size": lambda entry: (-entry.size, entry.name),
        "path": lambda entry: (entry.name,),
        "kind": lambda entry: (_ORDER[GROUP_OF[entry.main_kind]], entry.main_kind, -entry.size, entry.name),
    }
    return keys[order]


def shown_name(entry: Entry) -> str:
    """Return the name of an entry as it is shown: that of a folder ends in ``/``, that of a function in ``()``."""
    name = show_name(entry.name)
    if entry.is_function:
        return name if name.endswith(">") else f"{name}()"
    return f"{name}/" if any(not child.is_function for child in entry.children.values()) else name


def tree_rows(entry: Entry, total: int, order: str, *, everything: bool, guide: str = "") -> Iterator[Row]:
    """Yield the rows below an entry. Unless ``everything`` is wanted, small ones of a folder are one row."""
    children = sorted(top_entries(entry) if not entry.path else entry.children.values(), key=sort_key(order))
    small = [] if everything else [child for child in children if child.size * _SMALL < total]
    if len(small) > 1:
        children = [child for child in children if child not in small] + [_together(small)]
    for number, child in enumerate(children, 1):
        is_last = number == len(children)
        yield Row(f"{guide}{'└── ' if is_last else '├── '}", shown_name(child), child)
        inner = f"{guide}{'    ' if is_last else '│   '}"
        yield from tree_rows(child, total, order, everything=everything, guide=inner)


def top_entries(root: Entry) -> list[Entry]:
    """Return what is in the root, and an entry for the bytes of the image itself, so that all sizes add up."""
    itself = Entry("(image)", "(image)")
    itself.kinds.update(root.own)
    return [*root.children.values(), *([itself] if itself.size else [])]


def _together(small: list[Entry]) -> Entry:
    """Return one entry for several small ones."""
    together = Entry(f"… {len(small):,} smaller", "")
    for entry in small:
        together.kinds.update(entry.kinds)
    return together


def title(found: ImageMap) -> tuple[str, str]:
    """Return the name of the image, and its facts."""
    name = " ".join(filter(None, (found.name, found.version))) or "image"
    size = f"{found.size:,} bytes"
    if found.partition:
        size = f"{found.size:,} of {found.partition:,} bytes ({found.size / found.partition:.1%})"
    kind = "Linux romfs" if found.format == "linux" else "MicroPython ROMFS"
    files = f"{found.files:,} file{'' if found.files == 1 else 's'}"
    return show_name(name), f"{kind}, {size}, {files}"


def notes(found: ImageMap) -> Iterator[str]:
    """Yield what else is to be said about an image, in sentences."""
    memory = by_memory(found.cells)
    if memory:
        yield (
            f"modules: {memory['flash']:,} bytes are used in flash, {memory['RAM']:,} are copied to RAM by imports,"
            f" {memory['']:,} are needed only to load them"
        )
    source = by_kind(found.cells)["source"]
    if source:
        yield f"source code: {source:,} bytes are compiled on the board, into RAM"
    if found.shared:
        yield f"equal files are stored once, which saves {found.shared:,} bytes"
    if found.partition is not None and found.size > found.partition:
        yield f"the image is {found.size - found.partition:,} bytes larger than the partition"
    elif found.partition is not None:
        yield f"free: {found.free:,} bytes"


def blocks_sentence(diff: ImageDiff) -> str:
    """Return how many erase blocks a flash would write."""
    return f"{len(diff.changed_blocks):,} of {diff.blocks:,} erase blocks of {diff.block_size:,} bytes would be written"


def block_paths(paths: tuple[str, ...]) -> str:
    """Return the files in an erase block as text."""
    more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
    return ", ".join(map(show_name, paths[:_MOST_PATHS])) + more
