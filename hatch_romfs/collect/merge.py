"""Merging what several sources contribute into one tree: two sources for one path are an error that names both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError
from hatch_romfs.paths import join, show_name
from hatch_romfs.tree import Directory, files

if TYPE_CHECKING:
    from hatch_romfs.tree import Node


def add_node(tree: Directory, path: str, node: Node) -> None:
    """Put a node at its path, in directories that are created as needed. Raises BuildError if the path is taken."""
    parent, _, name = path.rpartition("/")
    merge_directory(tree, parent, Directory({name: node}))


def merge_directory(tree: Directory, path: str, directory: Directory) -> None:
    """Add the content of a directory at a path. Raises BuildError if another source has one of its files."""
    _merge(_directory_at(tree, path), directory, path)


def merge_below(tree: Directory, base: Directory, path: str = "") -> None:
    """Add the content of a directory of a base, except for what the tree has already.

    A module replaces the module of the same name, whichever of the two is compiled: a board imports only one of them.
    Raises BuildError if one has a folder where the other has a file.
    """
    modules = {_module(name) for name, node in tree.entries.items() if not isinstance(node, Directory)}
    for name, node in base.entries.items():
        here = join(path, name)
        present = tree.entries.get(name)
        if present is None:
            if isinstance(node, Directory) or _module(name) not in modules:
                tree.entries[name] = node
        elif isinstance(present, Directory) and isinstance(node, Directory):
            merge_below(present, node, here)
        elif isinstance(present, Directory) or isinstance(node, Directory):
            raise _clash(
                here, _origin(present), _origin(node), hint="Exclude one of them; `base-exclude` does it here."
            )


def _module(name: str) -> str:
    """Return the same name for a module and its compiled form."""
    return f"{name.removesuffix('.mpy')}.py" if name.endswith(".mpy") else name


def _directory_at(tree: Directory, path: str) -> Directory:
    """Return the directory at a path, and create what is missing."""
    here = ""
    for name in filter(None, path.split("/")):
        here = join(here, name)
        node = tree.entries.setdefault(name, Directory())
        if not isinstance(node, Directory):
            raise _clash(here, node.origin, "a folder that the settings ask for")
        tree = node
    return tree


def _merge(target: Directory, directory: Directory, path: str) -> None:
    for name, node in directory.entries.items():
        here = join(path, name)
        present = target.entries.setdefault(name, node)
        if present is node:
            continue
        if not (isinstance(present, Directory) and isinstance(node, Directory)):
            raise _clash(here, _origin(present), _origin(node))
        _merge(present, node, here)


def _origin(node: Node) -> str:
    if not isinstance(node, Directory):
        return node.origin
    return next((f"the folder of {file.origin}" for _, file in files(node)), "an empty folder")


def _clash(path: str, first: str, second: str, *, hint: str = "Exclude or rename one of them.") -> BuildError:
    return BuildError(f"two sources for {show_name(path)!r} in the image: {first} and {second}", hint=hint)
