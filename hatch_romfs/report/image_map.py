"""The map of an image: its cells, and how they add up by file, folder, kind, and erase block."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from hatch_romfs.formats.image import image_content
from hatch_romfs.paths import show_name
from hatch_romfs.report.cells import GROUP_OF, Cell
from hatch_romfs.report.content import content_cells
from hatch_romfs.report.linux import linux_cells
from hatch_romfs.report.micropython import micropython_cells
from hatch_romfs.report.source import opened
from hatch_romfs.tree import files

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from hatch_romfs.formats.image import Image, ImageContent


class ImageMap(NamedTuple):
    """Where every byte of an image is.

    ``cells`` are in order and without gaps. ``partition`` is the size of the partition in bytes, if it is known.
    ``shared`` counts the bytes that files would take in addition if equal data were not stored once.
    """

    format: str
    size: int
    cells: tuple[Cell, ...]
    name: str | None = None
    version: str | None = None
    files: int = 0
    shared: int = 0
    partition: int | None = None

    @property
    def free(self) -> int:
        """The bytes of the partition after the image; 0 if its size is not known."""
        return max((self.partition or 0) - self.size, 0)


class CellDocument(TypedDict):
    """A cell for machines; ``memory`` is ``flash``, ``RAM``, or empty."""

    offset: int
    size: int
    kind: str
    path: str
    part: str
    memory: str


class MapDocument(TypedDict):
    """A map for machines: the cells are in order and without gaps, and their sizes add up to ``size``."""

    format: str
    name: str | None
    version: str | None
    size: int
    partition: int | None
    files: int
    shared: int
    cells: list[CellDocument]


def image_map(image: Image | str | os.PathLike[str]) -> MapDocument:
    """Return where every byte of an image, or of an image file, is.

    Raises SettingsError if the file cannot be read, and ImageError if it is not a valid image.
    """
    with opened(image) as found:
        return map_document(make_map(found))


def make_map(image: Image, partition: int | None = None) -> ImageMap:
    """Return the map of an image, which may be in a partition of so many bytes."""
    sizes: dict[tuple[int, int], int] = {}
    contents = {id(node): image_content(node) for _, node in files(image.root)}  # hard links are one file
    for content in contents.values():
        sizes[content.span] = sizes.get(content.span, -content.size) + content.size
    count = sum(1 for _ in files(image.root))
    cells = _image_cells(image, 0)
    return ImageMap(image.format, image.size, cells, image.name, image.version, count, sum(sizes.values()), partition)


def _image_cells(image: Image, depth: int) -> tuple[Cell, ...]:
    def contents(content: ImageContent, path: str) -> list[Cell]:
        return content_cells(content, path, depth, _image_cells)

    return (linux_cells if image.format == "linux" else micropython_cells)(image, contents)


def map_document(found: ImageMap) -> MapDocument:
    """Return a map for machines."""
    return {
        "format": found.format,
        "name": found.name,
        "version": found.version,
        "size": found.size,
        "partition": found.partition,
        "files": found.files,
        "shared": found.shared,
        "cells": [
            {
                "offset": cell.offset,
                "size": cell.size,
                "kind": cell.kind,
                "path": show_name(cell.path),
                "part": cell.part,
                "memory": cell.memory,
            }
            for cell in found.cells
        ],
    }


class Entry:
    """A file, a folder, or a function of a map.

    ``kinds`` are its bytes by kind, with everything inside it, and ``own`` without that.
    """

    __slots__ = ("children", "is_function", "kinds", "name", "own", "path")

    def __init__(self, name: str, path: str, *, is_function: bool = False) -> None:
        self.name, self.path, self.is_function = name, path, is_function
        self.own: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.children: dict[str, Entry] = {}

    @property
    def size(self) -> int:
        """The bytes of it and of everything inside it."""
        return self.kinds.total()

    @property
    def main_kind(self) -> str:
        """The kind of most of its bytes."""
        return max(self.kinds, key=lambda kind: (self.kinds[kind], kind), default="")

    def walk(self) -> Iterator[Entry]:
        """Yield everything inside it."""
        for child in self.children.values():
            yield child
            yield from child.walk()


def entries(cells: Iterable[Cell], *, functions: bool = False) -> Entry:
    """Return the tree of files and folders that cells belong to; ``functions`` adds those of modules below them."""
    root = Entry("", "")
    for cell in cells:
        entry = root
        entry.kinds[cell.kind] += cell.size
        path = ""
        for name in cell.path.split("/") if cell.path else ():
            path = f"{path}/{name}" if path else name
            entry = entry.children.setdefault(name, Entry(name, path))
            entry.kinds[cell.kind] += cell.size
        if functions and cell.part:
            entry = entry.children.setdefault(cell.part, Entry(cell.part, f"{path}:{cell.part}", is_function=True))
            entry.kinds[cell.kind] += cell.size
        entry.own[cell.kind] += cell.size
    return root


def own_sizes(cells: Iterable[Cell]) -> Counter[str]:
    """Return the bytes of each path, without what is inside it; the path of the image itself is ``""``."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[cell.path] += cell.size
    return sizes


def by_kind(cells: Iterable[Cell]) -> Counter[str]:
    """Return the bytes of each kind."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[cell.kind] += cell.size
    return sizes


def by_group(kinds: Counter[str]) -> Counter[str]:
    """Return the bytes of each group of kinds."""
    sizes: Counter[str] = Counter()
    for kind, size in kinds.items():
        sizes[GROUP_OF[kind]] += size
    return sizes


def by_memory(cells: Iterable[Cell]) -> Counter[str]:
    """Return the bytes of modules that stay in flash, and those that are copied to RAM, when they are imported."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        if GROUP_OF[cell.kind] in ("code", "constants"):
            sizes[cell.memory] += cell.size
    return sizes


class Block(NamedTuple):
    """An erase block: its number, its bytes by group, and the files in it, the largest part first."""

    number: int
    groups: Counter[str]
    paths: tuple[str, ...]


def blocks(found: ImageMap, size: int) -> list[Block]:
    """Return the erase blocks of ``size`` bytes that the image covers."""
    count = -(-found.size // size)
    groups: list[Counter[str]] = [Counter() for _ in range(count)]
    paths: list[Counter[str]] = [Counter() for _ in range(count)]
    for cell in found.cells:
        at, end = cell.offset, cell.offset + cell.size
        while at < end:
            number = at // size
            part = min(end, (number + 1) * size) - at
            groups[number][GROUP_OF[cell.kind]] += part
            paths[number][cell.path] += part
            at += part
    groups[-1]["free"] += count * size - found.size
    return [
        Block(number, inside, tuple(path for path, _ in paths[number].most_common() if path))
        for number, inside in enumerate(groups)
    ]
