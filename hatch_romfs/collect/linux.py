"""What only Linux romfs has, as the settings ask for it: special files, and which files are executable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.settings.patterns import compile_patterns
from hatch_romfs.tree import Directory, Special, files, replace_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.settings.subtables import Linux
    from hatch_romfs.tree import Leaf


def special_files(linux: Linux) -> Iterator[tuple[str, Special]]:
    """Yield the path and the node of every device, fifo, and socket that the settings name."""
    for path, device in linux.devices.items():
        yield path, Special(device.kind, "tool.romfs.linux.devices", device.major, device.minor)
    for path in linux.fifos:
        yield path, Special("fifo", "tool.romfs.linux.fifos")
    for path in linux.sockets:
        yield path, Special("socket", "tool.romfs.linux.sockets")


def set_executable(tree: Directory, patterns: Sequence[str]) -> Directory:
    """Return the tree with the files executable that match a pattern, under all names of each (hard links)."""
    matches = compile_patterns(patterns)
    matching = {id(file): file._replace(executable=True) for path, file in files(tree) if matches(path)}

    def change(_path: str, name: str, node: Leaf) -> tuple[str, Leaf]:
        return name, matching.get(id(node), node)

    return replace_leaves(tree, change)
