"""``__version__``: whether a module sets it, and a line that does."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from romfs_manifest.disk import read
from romfs_manifest.errors import ManifestError
from romfs_manifest.parse import syntax_tree

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "__version__"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
MAX_PARSED = 256 * 1024
"""Bytes of a module whose syntax is looked at; in larger ones, lines are."""


def lacks_version(target: str, source: Path, version: str | None) -> bool:
    """Say whether the module ``target`` is to be given ``version``, which is its package's, if that has one.

    It is where a package is imported by its name, ``a.py`` or ``a/__init__.py``, and does not set a version itself.
    Raises ManifestError where it cannot be read, or is not UTF-8.
    """
    rest = target.partition("/")[2]
    if not version or rest not in ("", "__init__.py"):
        return False
    try:
        return not sets_version(read(source))
    except UnicodeDecodeError:
        raise ManifestError(f"{source} is not valid UTF-8", hint="Save it as UTF-8.") from None


def sets_version(data: bytes) -> bool:
    """Say whether a module sets ``__version__`` when it is imported; raises UnicodeDecodeError.

    No comment, no string and no function's own name counts.
    """
    text = data.decode("utf-8-sig")
    if _NAME not in text:
        return False
    if len(data) <= MAX_PARSED:
        try:
            return _binds(syntax_tree(text))
        except (SyntaxError, ValueError):
            # MicroPython may know syntax that this Python does not; the answer must not depend on which this is.
            pass
    return re.search(rf"^{_NAME}\s*[=:]", text, re.MULTILINE) is not None


def tagged(data: bytes, version: str) -> bytes:
    """Return a module with the line appended that sets its version, and with the ends of line that it has."""
    end = re.search(rb"\r\n|\n|\r", data)
    newline = end[0] if end else b"\n"
    return b"".join((data, newline, newline, f"{_NAME} = {version!r}".encode(), newline))


def _binds(tree: ast.Module) -> bool:
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Name) and node.id == _NAME and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name) == _NAME:
            return True
        if not isinstance(node, _SCOPES):
            nodes += ast.iter_child_nodes(node)
    return False
