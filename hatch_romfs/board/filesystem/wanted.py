"""What should be on a board: a folder, and the files and folders of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from hatch_romfs.board.filesystem.owned import LARGEST, owned_path_problem
from hatch_romfs.errors import BoardError, SettingsError
from hatch_romfs.tree import Directory, File, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_romfs.formats.image import Image

Tree: TypeAlias = "Mapping[str, Directory | File]"
"""Files and folders by path."""
NAMED: Final = 5
"""Files that a message names at most."""


def check_folder(folder: str) -> None:
    """Check the name of a folder on a board, absolute or relative; raises SettingsError."""
    path = folder.removeprefix("/").removesuffix("/")
    if folder and path and (problem := owned_path_problem(path)):
        raise SettingsError(f"--to-filesystem: {problem}", hint="Name a folder on the board, such as /flash/app.")


def read_tree(image: Image) -> dict[str, Directory | File]:
    """Return the files and folders of an image by path; raises BoardError where no board can have one of them."""
    if image.format != "micropython":
        raise BoardError("the image is not a MicroPython image", hint="Its files are not for a board.")
    tree = {path: node for path, node in walk(image.root) if isinstance(node, Directory | File)}
    problems = [problem for path in tree if (problem := owned_path_problem(path))]
    if sum(len(path.encode()) + 2 for path in tree) > LARGEST - 1024:
        problems.append(f"the paths of its {len(tree):,} files and folders have more than {LARGEST >> 10} KiB")
    if problems:
        raise BoardError([f"the image cannot be written to a filesystem: {problem}" for problem in problems[:NAMED]])
    return tree


def sizes_of(tree: Tree) -> dict[str, int | None]:
    """Return the size of each file in bytes, and None for each folder."""
    return {path: node.size if isinstance(node, File) else None for path, node in tree.items()}


def name_some(paths: list[str]) -> str:
    """Return the first of the paths as text."""
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(paths[:NAMED])}{more}"
