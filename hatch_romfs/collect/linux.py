"""What only Linux's romfs holds, as the settings ask for it: special files, and which files are executable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.settings.patterns import compiled
from hatch_romfs.tree import Directory, File, Special, join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.settings.model import Linux


def special_files(linux: Linux) -> Iterator[tuple[str, Special]]:
    """Yield the path and the node of every device, fifo and socket that the settings name."""
    for path, device in linux.devices.items():
        yield path, Special(device.kind, "tool.romfs.linux.devices", device.major, device.minor)
    for path in linux.fifos:
        yield path, Special("fifo", "tool.romfs.linux.fifos")
    for path in linux.sockets:
        yield path, Special("socket", "tool.romfs.linux.sockets")


def make_executable(tree: Directory, patterns: Sequence[str]) -> None:
    """Make the files that match a pattern executable, under all of their names."""
    matches = compiled(patterns)
    made: dict[int, File] = {}

    def walk(directory: Directory, path: str) -> Iterator[tuple[str, Directory, str, File]]:
        for name, node in directory.entries.items():
            here = join(path, name)
            if isinstance(node, Directory):
                yield from walk(node, here)
            elif isinstance(node, File):
                yield here, directory, name, node

    found = list(walk(tree, ""))
    for path, _, _, file in found:
        if matches(path):
            made[id(file)] = file._replace(executable=True)
    for _, directory, name, file in found:
        directory.entries[name] = made.get(id(file), file)
