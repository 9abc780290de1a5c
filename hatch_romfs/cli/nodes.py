"""How one node of an image looks in a list, wherever the list is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.formats.image import image_content
from hatch_romfs.tree import Directory, File, Special, Symlink

if TYPE_CHECKING:
    from hatch_romfs.tree import Node


def place(file: File, base: int | None) -> tuple[int, int]:
    """Return where a file begins, and the largest power of two that divides it."""
    at = (base or 0) + image_content(file).offset
    return at, at & -at


def suffix(node: Node) -> str:
    """Return what follows a name: the mark of ``ls -F``, the target of a link, or the kind of a special file."""
    match node:
        case File():
            return "*" if node.executable else ""
        case Symlink():
            return f" -> {node.target}"
        case Special():
            return f" ({node.kind}{f' {node.major}, {node.minor}' if node.kind.endswith('device') else ''})"
        case Directory():
            return "/"
        case _:
            return ""
