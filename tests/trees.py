"""Trees for tests: generated ones, and ones on disk."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

from hatch_romfs.tree import Directory, File, MemoryContent, Node, Special, Symlink, files, walk

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
ASCII_NAMES = st.text("abcXYZ019_-. ", min_size=1, max_size=12).filter(lambda name: name.strip(". ") == name)
SIZES = st.sampled_from([0, 1, 2, 7, 8, 9, 126, 127, 128, 129, 300, 16382, 16383, 16384, 16385])
DATA = st.one_of(st.binary(max_size=40), st.builds(lambda size, seed: bytes([seed]) * size, SIZES, st.integers(0, 3)))


def file(data: bytes) -> File:
    return File(MemoryContent(data), "a test")


def trees(names: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Directory]:
    """Trees of files and folders, empty ones too."""
    nodes: st.SearchStrategy[Node] = st.recursive(
        st.builds(file, DATA),
        lambda inner: st.builds(Directory, st.dictionaries(names, inner, max_size=5)),
        max_leaves=14,
    )
    return st.builds(Directory, st.dictionaries(names, nodes, max_size=6))


def romfs_trees(names: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Directory]:
    """Trees of everything that Linux's romfs holds, hard links among it: one node under two names."""
    number = st.integers(0, 0xFFFF)
    leaves: st.SearchStrategy[Node] = st.one_of(
        st.builds(lambda data, executable: File(MemoryContent(data), "a test", executable), DATA, st.booleans()),
        st.builds(lambda target: Symlink(target, "a test"), names),
        st.builds(lambda kind: Special(kind, "a test"), st.sampled_from(("fifo", "socket"))),
        st.builds(
            lambda kind, *numbers: Special(kind, "a test", *numbers),
            st.sampled_from(("block device", "character device")),
            number,
            number,
        ),
    )
    nodes: st.SearchStrategy[Node] = st.recursive(
        leaves, lambda inner: st.builds(Directory, st.dictionaries(names, inner, max_size=5)), max_leaves=14
    )

    def linked(root: Directory, extra: list[tuple[int, int, str]]) -> Directory:
        folders = [root, *(node for _, node in walk(root) if isinstance(node, Directory))]
        leaves = [node for _, node in walk(root) if not isinstance(node, Directory)]
        for where, what, name in extra if leaves else ():
            folders[where % len(folders)].entries.setdefault(name, leaves[what % len(leaves)])
        return root

    links = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), names), max_size=3)
    return st.builds(linked, st.builds(Directory, st.dictionaries(names, nodes, max_size=6)), links)


def shape(root: Directory) -> dict[str, object]:
    """Return all that Linux's romfs keeps of a tree: kinds, data, exec bits, numbers, and which names are one."""
    firsts: dict[int, str] = {}
    found: dict[str, object] = {}
    for path, node in walk(root):
        if isinstance(node, Directory):
            found[path] = "directory"
            continue
        said = (node.read(), node.executable) if isinstance(node, File) else tuple(node._replace(origin=""))
        found[path] = (said, firsts.setdefault(id(node), path))
    return found


def tree(entries: Mapping[str, bytes | None]) -> Directory:
    """Make a tree of paths; None is an empty folder."""
    root = Directory()
    for path, data in entries.items():
        *folders, name = path.split("/")
        at = root
        for folder in folders:
            at = at.entries.setdefault(folder, Directory())  # type: ignore[assignment]
        at.entries[name] = Directory() if data is None else file(data)
    return root


def contents(root: Directory) -> dict[str, bytes | None]:
    """Return the data of each path, None for a folder."""
    return {path: node.read() if isinstance(node, File) else None for path, node in walk(root)}


def digests(root: Directory) -> dict[str, tuple[int, str] | None]:
    return {
        path: (node.size, hashlib.sha256(node.read()).hexdigest()) if isinstance(node, File) else None
        for path, node in walk(root)
    }


def write_tree(root: Directory, folder: Path) -> Path:
    """Write a tree to disk, in reverse order so that no order is taken for granted."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, node in reversed(list(walk(root))):
        target = folder / path
        if isinstance(node, File):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(node.read())
        else:
            target.mkdir(parents=True, exist_ok=True)
    return folder


def paths(root: Directory) -> list[str]:
    return [path for path, _ in files(root)]


def write_romfs_tree(root: Directory, folder: Path) -> Path:
    """Write a tree with all that Linux's romfs holds to disk, devices by genromfs's ``@`` names: no root needed."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[int, Path] = {}
    for path, node in reversed(list(walk(root))):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if id(node) in made and not made[id(node)].name.startswith("@"):  # a name says what one is, and no inode does
            os.link(made[id(node)], target, follow_symlinks=False)
        elif isinstance(node, Directory):
            target.mkdir(exist_ok=True)
        elif isinstance(node, File):
            target.write_bytes(node.read())
            target.chmod(0o755 if node.executable else 0o644)
        elif isinstance(node, Symlink):
            target.symlink_to(node.target)
        elif node.kind == "socket":
            os.mknod(target, stat.S_IFSOCK | 0o644)
        elif node.kind == "fifo" or not re.fullmatch("[A-Za-z0-9_+-]{1,40}", target.name):  # which those names are of
            os.mkfifo(target)
        else:
            target = target.with_name(f"@{target.name},{node.kind[0]},{node.major},{node.minor}")
            target.touch()
        made[id(node)] = target
    return folder
