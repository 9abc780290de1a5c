"""Which files of a tree share their data, and how that data is aligned."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_romfs.tree import files, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_romfs.tree import Directory, File


def equal_files(root: Directory, *, smallest: int) -> dict[str, str]:
    """Map each file of at least ``smallest`` bytes to the first file, in order, with the same data.

    Files that differ in being executable are not the same. Only files with the size of another are read.
    """
    by_size: defaultdict[tuple[int, bool], list[tuple[str, File]]] = defaultdict(list)
    for path, file in files(root):
        by_size[file.size, file.executable].append((path, file))
    same: dict[str, str] = {}
    for (size, _), group in by_size.items():
        if size >= smallest and len(group) > 1:
            firsts: dict[bytes, str] = {}
            for path, file in group:
                first = firsts.setdefault(_digest(file), path)
                if first != path:
                    same[path] = first
    return same


def hard_links(root: Directory) -> dict[str, str]:
    """Map each path whose node also has an earlier path to the first of its paths."""
    firsts: dict[int, str] = {}
    same: dict[str, str] = {}
    for path, node in walk(root):
        first = firsts.setdefault(id(node), path)
        if first != path:
            same[path] = first
    return same


def file_alignments(root: Directory, align: Callable[[str], int], same: Mapping[str, str]) -> dict[str, int]:
    """Return the alignment in bytes of each file with data of its own: the largest that any file sharing it needs."""
    alignments: dict[str, int] = {}
    for path, file in files(root):
        first = same.get(path, path)
        alignments[first] = max(alignments.get(first, 1), align(path), file.alignment)
    return alignments


def _digest(file: File) -> bytes:
    digest = hashlib.sha256()
    for chunk in file.content.chunks():
        digest.update(chunk)
    return digest.digest()
