"""Which paths of a tree share what they hold, and the boundary on which that begins."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_romfs.tree import files, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_romfs.tree import Directory, File


def equal_files(root: Directory, *, smallest: int) -> dict[str, str]:
    """Map each file of at least ``smallest`` bytes to the first file in order that holds the same.

    Files that differ in being executable are not the same. Only files of which another has the same size are read.
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
    """Map each path whose node stands under an earlier one too to the first of them."""
    firsts: dict[int, str] = {}
    same: dict[str, str] = {}
    for path, node in walk(root):
        first = firsts.setdefault(id(node), path)
        if first != path:
            same[path] = first
    return same


def strictest(root: Directory, align: Callable[[str], int], same: Mapping[str, str]) -> dict[str, int]:
    """Give each file its boundary; where data is shared the strictest that any of the sharers asks for."""
    aligns: dict[str, int] = {}
    for path, _ in files(root):
        first = same.get(path, path)
        aligns[first] = max(aligns.get(first, 1), align(path))
    return aligns


def _digest(file: File) -> bytes:
    digest = hashlib.sha256()
    for chunk in file.content.chunks():
        digest.update(chunk)
    return digest.digest()
