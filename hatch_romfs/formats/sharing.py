"""Which files of a tree have equal bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_romfs.tree import files

if TYPE_CHECKING:
    from hatch_romfs.tree import Directory, File


def equal_files(root: Directory, *, smallest: int) -> dict[str, str]:
    """Map each file of at least ``smallest`` bytes to the first file in order that holds the same.

    Only files of which another has the same size are read.
    """
    by_size: defaultdict[int, list[tuple[str, File]]] = defaultdict(list)
    for path, file in files(root):
        by_size[file.size].append((path, file))
    same: dict[str, str] = {}
    for size, group in by_size.items():
        if size >= smallest and len(group) > 1:
            firsts: dict[bytes, str] = {}
            for path, file in group:
                first = firsts.setdefault(_digest(file), path)
                if first != path:
                    same[path] = first
    return same


def _digest(file: File) -> bytes:
    digest = hashlib.sha256()
    for chunk in file.content.chunks():
        digest.update(chunk)
    return digest.digest()
