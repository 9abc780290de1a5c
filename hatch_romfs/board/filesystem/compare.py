"""Compare a folder on a board with what should be there, and change nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.filesystem.survey import Survey, Surveyor
from hatch_romfs.board.filesystem.wanted import check_folder, name_some, read_tree, sizes_of
from hatch_romfs.board.hashes import HASHES, algorithm
from hatch_romfs.board.session import PortOptions, ignore_board, session
from hatch_romfs.errors import VerifyError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import open_image
from hatch_romfs.tree import File

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

    from hatch_romfs.board.filesystem.owned import OwnedList
    from hatch_romfs.board.filesystem.wanted import Tree
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import OnBoard, Session
    from hatch_romfs.events import Report

_HIDE_PATH: Final = "import sys\nif sys.path:path=sys.path[:]\nsys.path[:]=[]\nimport os\nhome=os.getcwd()"
_SHOW_PATH: Final = "sys.path[:]=path\nos.chdir(home)"


@contextmanager
def without_own_modules(found: Session) -> Iterator[None]:
    """Restart MicroPython, and let its imports find only modules of the firmware during a ``with`` block.

    A module such as io.py in the board's filesystem comes before the one in the firmware, which is needed here.
    """
    found.repl.soft_reset(boot=found.boot)
    found.repl.run_again(_HIDE_PATH)
    yield
    if not found.reset:
        found.repl.run_again(_SHOW_PATH)


def compare(found: Session, tree: Tree, folder: str, on_event: Report) -> tuple[Surveyor, Survey, set[str]]:
    """Compare the files on the board with the tree; return those with the right content."""
    surveyor = Surveyor(found.repl, found.board, folder)
    survey = surveyor.survey(tree)
    alike = [path for path, size in sizes_of(tree).items() if size is not None and survey.states[path] == size]
    total = sum(node.size for path in alike if isinstance(node := tree[path], File))
    on_event(Progress("comparing", 0, total))
    same = find_matching(surveyor, survey.owned, alike, tree, algorithm(found.board))
    on_event(Progress("comparing", total, total))
    return surveyor, survey, same


def find_matching(surveyor: Surveyor, owned: OwnedList, paths: Collection[str], tree: Tree, how: str) -> set[str]:
    """Return the files whose hash on the board is that of the tree's."""
    wanted = {path: node for path in paths if isinstance(node := tree[path], File)}
    size = sum(node.size for node in wanted.values())
    hashes = surveyor.hashes(owned, list(wanted), size)
    return {path for path, node in wanted.items() if hashes[path] == HASHES[how](node.read())}


def verify_filesystem(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    folder: str = "",
    on_board: OnBoard = ignore_board,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
    name: str = "",
) -> tuple[Board, str]:
    """Compare a board's files with those of an image; raises VerifyError that names the first that differ.

    ``name`` is what messages call the image instead of its path. Returns the board and its folder.
    """
    options = PortOptions.of(port)
    check_folder(folder)
    with open_image(image) as opened, session(options, trace) as found:
        opened.check()
        on_board(found.board)
        tree = read_tree(opened)
        with without_own_modules(found):
            _, survey, same = compare(found, tree, folder, on_event)
    differing = [path for path, node in sorted(tree.items()) if isinstance(node, File) and path not in same]
    if differing:
        raise VerifyError(
            f"{len(differing)} of {sum(isinstance(node, File) for node in tree.values())} files in {survey.folder}"
            f" differ from {name or image} or are missing: {name_some(differing)}",
            hint="The same command with --to-filesystem, without --verify, writes them.",
        )
    return found.board, survey.folder


@dataclass(frozen=True, slots=True)
class FilesystemListing:
    """The filesystem of ``folder`` on a board: its ``size`` and what is ``free``, in bytes.

    ``files`` are those that ``write_filesystem`` wrote, with their sizes, or None for one that is not there any more.
    """

    board: Board
    folder: str
    size: int
    free: int
    files: dict[str, int | None]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.files):,} files in {self.folder!r} of {self.board!r}>"


def list_filesystem(
    port: str | PortOptions | None = None, *, folder: str = "", trace: Trace | None = None
) -> FilesystemListing:
    """Return which files ``write_filesystem`` wrote into a folder on a board; raises LinkError and BoardError."""
    options = PortOptions.of(port)
    check_folder(folder)
    with session(options, trace) as found, without_own_modules(found):
        survey = Surveyor(found.repl, found.board, folder).survey(())
    entries = tuple((entry, survey.states[entry.removesuffix("/")]) for entry in survey.owned.entries)
    sizes = {entry: state for entry, state in entries if not entry.endswith("/")}
    return FilesystemListing(
        found.board,
        survey.folder,
        survey.block * survey.blocks,
        survey.block * survey.free,
        {path: state if isinstance(state, int) else None for path, state in sizes.items()},
    )
