"""The tree of an image into a board's writable filesystem, for scripts too. Nothing prints here."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hatch_romfs.board import checks
from hatch_romfs.board.channel import channel_on
from hatch_romfs.board.filesystem.owned import LARGEST, LIST, owned_path_problem
from hatch_romfs.board.filesystem.plan import find_shortage, make_plan
from hatch_romfs.board.filesystem.survey import Survey, Surveyor
from hatch_romfs.board.filesystem.writer import AGAIN, FileWriter
from hatch_romfs.board.hashes import HASHES, algorithm
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.errors import BoardError, FlashInterrupted, LinkError, SettingsError, VerifyError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import open_image
from hatch_romfs.paths import path_problem
from hatch_romfs.tree import Directory, File, walk

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator, Mapping

    from hatch_romfs.board.filesystem.plan import FilesystemPlan
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import Session
    from hatch_romfs.events import Report
    from hatch_romfs.formats.image import Image

    OnBoard = Callable[[Board], None]
    OnWritten = Callable[[Session, "FilesystemResult"], None]

_HIDE_PATH: Final = "import os,sys\nif sys.path:path,home=sys.path[:],os.getcwd()\nsys.path[:]=[]"
_SHOW_PATH: Final = "sys.path[:]=path\nos.chdir(home)"
NAMED: Final = 5
"""Files that a message names at most."""


def ignore_board(_board: Board) -> None:
    """Do nothing: the default for callers that do not look at the board before it is changed."""


def ignore_result(_session: Session, _result: FilesystemResult) -> None:
    """Do nothing: the default for callers with nothing to do on the board after files were written."""


@dataclass(frozen=True, slots=True)
class FilesystemResult:
    """What was done: the board, its absolute ``folder``, the plan, and what it cost.

    ``files`` counts the files of the tree, and ``size`` their bytes. ``sent`` and ``received`` are bytes on the wire.
    ``rewritten`` counts changes that had to be asked for again, ``resent`` the frames that the line lost. ``warnings``
    are about what is on the board.
    """

    board: Board
    folder: str
    plan: FilesystemPlan
    files: int
    size: int
    sent: int
    received: int
    rewritten: int = 0
    resent: int = 0
    warnings: tuple[str, ...] = ()


def write_files(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    folder: str = "",
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    reset: bool = True,
    on_board: OnBoard = ignore_board,
    on_event: Report = ignore_progress,
    on_written: OnWritten = ignore_result,
    trace: Trace | None = None,
) -> FilesystemResult:
    """Write the files of an image into a folder of a board's writable filesystem.

    After a cut at any moment, each file is the old or the new one. Only what romfs-flash wrote is replaced or removed.
    ``folder`` is absolute or relative to the board's working folder, which is the default. ``force`` writes code that
    the firmware refuses, ``full`` also the files that are right already, ``dry_run`` nothing at all. ``on_board`` is
    called with the board before anything is written, and ``on_written`` while the board is still at its prompt.

    Raises SettingsError, ImageError, LinkError, BoardError, and VerifyError.
    """
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    check_folder(folder)
    with open_image(image) as opened, session(options, trace) as found:
        opened.check()
        found.reset = reset
        on_board(found.board)
        result = write_files_on(
            found, opened, folder=folder, force=force, full=full, dry_run=dry_run, on_event=on_event
        )
        on_written(found, result)
        return result


def write_files_on(  # noqa: PLR0913 - the options of a command
    found: Session,
    image: Image,
    *,
    folder: str = "",
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    on_event: Report = ignore_progress,
) -> FilesystemResult:
    """Do what ``write_files`` does with a valid image, on a board that has a prompt already, and has it afterwards.

    Raises LinkError, BoardError, and VerifyError.
    """
    tree = read_tree(image)
    if not force:
        checks.check_code(image, found.board)
    with _without_own_modules(found):
        return _write_tree(found, tree, folder, full=full, dry_run=dry_run, on_event=on_event)


def _write_tree(  # noqa: PLR0913 - what write_files was asked for
    found: Session,
    tree: Mapping[str, Directory | File],
    folder: str,
    *,
    full: bool,
    dry_run: bool,
    on_event: Report,
) -> FilesystemResult:
    """Compare, plan, carry it out, and verify what came of it."""
    surveyor, survey, same = _compare(found, tree, folder, on_event)
    plan = make_plan(_sizes(tree), survey, same, full=full)
    shortage = find_shortage(plan, survey)
    if shortage:
        raise BoardError(
            f"the files do not fit into the filesystem of {found.board.machine}:"
            f" {survey.free * survey.block:,} bytes are free, and at least {shortage:,} more are needed",
            hint="Free some space on the board, or exclude files from the project. Nothing on the board was changed.",
        )
    sizes = [node.size for node in tree.values() if isinstance(node, File)]
    result = FilesystemResult(
        found.board, survey.folder, plan, len(sizes), sum(sizes), 0, 0, warnings=tuple(_warnings(plan, survey, tree))
    )
    if plan.steps and not dry_run:
        with _reporting_state():
            writer = _write(found, survey, plan, tree, on_event)
            _verify(surveyor, plan, tree, algorithm(found.board), on_event)
        result = replace(result, rewritten=writer.rewritten, resent=writer.channel.resent)
    return replace(result, sent=found.link.sent, received=found.link.received)


def compare_files(  # noqa: PLR0913 - the options of a command
    image: str | os.PathLike[str],
    port: str | PortOptions | None = None,
    *,
    folder: str = "",
    on_board: OnBoard = ignore_board,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
) -> tuple[Board, str]:
    """Compare a board's files with those of an image; raises VerifyError that names the first that differ.

    Returns the board and its folder.
    """
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    check_folder(folder)
    with open_image(image) as opened, session(options, trace) as found:
        opened.check()
        on_board(found.board)
        tree = read_tree(opened)
        with _without_own_modules(found):
            _, survey, same = _compare(found, tree, folder, on_event)
    differing = [path for path, node in sorted(tree.items()) if isinstance(node, File) and path not in same]
    if differing:
        raise VerifyError(
            f"{len(differing)} of {sum(isinstance(node, File) for node in tree.values())} files in {survey.folder}"
            f" differ from {image} or are missing: {_named(differing)}",
            hint="The same command with --to-filesystem, without --verify, writes them.",
        )
    return found.board, survey.folder


def list_filesystem(port: str | PortOptions | None = None, *, folder: str = "", trace: Trace | None = None) -> Listing:
    """Return which files in a folder of a board's filesystem ``write_files`` wrote; raises LinkError, BoardError."""
    options = port if isinstance(port, PortOptions) else PortOptions(port)
    check_folder(folder)
    with session(options, trace) as found, _without_own_modules(found):
        survey = Surveyor(found.repl, found.board, folder).survey(())
    entries = tuple((entry, survey.states[entry.removesuffix("/")]) for entry in survey.listed)
    sizes = {entry: state for entry, state in entries if not entry.endswith("/")}
    return Listing(
        found.board,
        survey.folder,
        survey.block * survey.blocks,
        survey.block * survey.free,
        {path: state if isinstance(state, int) else None for path, state in sizes.items()},
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """The filesystem of ``folder`` on a board: its ``size`` and what is ``free``, in bytes.

    ``files`` are those that ``write_files`` wrote, with their sizes, or None for one that is not there any more.
    """

    board: Board
    folder: str
    size: int
    free: int
    files: dict[str, int | None]


def check_folder(folder: str) -> None:
    """Check the name of a folder on a board, absolute or relative; raises SettingsError."""
    path = folder.removeprefix("/").removesuffix("/")
    if folder and path and (problem := owned_path_problem(path) or path_problem(path)):
        raise SettingsError(f"--to-filesystem: {problem}", hint="Name a folder on the board, such as /flash/app.")


def read_tree(image: Image) -> dict[str, Directory | File]:
    """Return the files and folders of an image by path; raises SettingsError where a board cannot have one of them."""
    tree = {path: node for path, node in walk(image.root) if isinstance(node, Directory | File)}
    problems = [problem for path in tree if (problem := owned_path_problem(path))]
    if sum(len(path.encode()) + 2 for path in tree) > LARGEST - 1024:
        problems.append(f"the paths of its {len(tree):,} files and folders have more than {LARGEST >> 10} KiB")
    if image.format != "micropython":
        problems = ["it is not a MicroPython image"]
    if problems:
        raise SettingsError([f"the image cannot be written to a filesystem: {problem}" for problem in problems[:NAMED]])
    return tree


def _sizes(tree: Mapping[str, Directory | File]) -> dict[str, int | None]:
    return {path: node.size if isinstance(node, File) else None for path, node in tree.items()}


def _compare(
    found: Session, tree: Mapping[str, Directory | File], folder: str, on_event: Report
) -> tuple[Surveyor, Survey, set[str]]:
    """Look at what the board has; return which files there have the right content."""
    surveyor = Surveyor(found.repl, found.board, folder)
    survey = surveyor.survey(tree)
    alike = [path for path, size in _sizes(tree).items() if size is not None and survey.states[path] == size]
    total = sum(node.size for path in alike if isinstance(node := tree[path], File))
    on_event(Progress("comparing", 0, total))
    same = _matching(surveyor, survey.source, survey.listed, alike, tree, algorithm(found.board))
    on_event(Progress("comparing", total, total))
    return surveyor, survey, same


def _matching(  # noqa: PLR0913, PLR0917 - a question to the board, and what the answer should be
    surveyor: Surveyor,
    source: str,
    entries: tuple[str, ...],
    paths: Collection[str],
    tree: Mapping[str, Directory | File],
    how: str,
) -> set[str]:
    """Return the files whose hash on the board is that of the tree's."""
    wanted = {path: node for path, node in tree.items() if path in set(paths) and isinstance(node, File)}
    size = sum(node.size for node in wanted.values())
    hashes = surveyor.hashes(source, entries, list(wanted), size)
    return {path for path, node in wanted.items() if hashes[path] == HASHES[how](node.read())}


def _warnings(plan: FilesystemPlan, survey: Survey, tree: Mapping[str, Directory | File]) -> Iterator[str]:
    """Yield what keeps MicroPython from using the files."""
    for path in plan.hidden:
        source = f"{survey.folder}{path[:-3]}py"
        yield f"{source} on the board hides {path}: MicroPython imports the .py file. Remove it on the board."
    for name in ("boot", "main"):
        if f"{name}.mpy" in tree and f"{name}.py" not in tree:
            yield (
                f"MicroPython does not start {name}.mpy, only {name}.py:"
                f' exclude it from compiling with tool.romfs.mpy.exclude = ["{name}.py"]'
            )


def _write(
    found: Session,
    survey: Survey,
    plan: FilesystemPlan,
    tree: Mapping[str, Directory | File],
    on_event: Report,
) -> FileWriter:
    """Carry out the plan; return what carried it out."""

    def read(path: str) -> bytes:
        node = tree[path]
        return node.read() if isinstance(node, File) else b""

    if not survey.exists:
        _make_folder(found, survey.folder)
    total = sum(step.size for step in plan.steps if step.action == "write")
    try:
        with channel_on(found.repl, found.board, "agent_put") as channel:
            writer = FileWriter(channel, read, on_event, total, crc32=found.board.crc32)
            writer.carry_out(plan.steps)
    except (BoardError, VerifyError):
        with suppress(LinkError, BoardError):  # the next run does it otherwise
            found.repl.run_again("import os\ntry:os.remove(temporary)\nexcept OSError:pass")
        raise
    return writer


def _make_folder(found: Session, folder: str) -> None:
    """Make a folder on the board and those that it is in; raises BoardError."""
    names = folder.strip("/").split("/")
    paths = tuple("/" + "/".join(names[: count + 1]) for count in range(len(names)))
    code = (
        f"import os\nr='done'\nfor p in {paths!r}:\n try:os.mkdir(p)\n"
        f" except OSError as e:r=r if e.errno==17 else'error %d'%e.errno\nif r=='done':enter({folder!r})\nprint(r)"
    )
    answer = found.repl.run_again(code).strip()
    if answer != "done":
        raise BoardError(f"the board cannot make the folder {folder}: {answer[:100]}", hint="Name another folder.")


def _verify(
    surveyor: Surveyor, plan: FilesystemPlan, tree: Mapping[str, Directory | File], how: str, on_event: Report
) -> None:
    """Have the board hash every file that was written; raises VerifyError."""
    written = [step.path for step in plan.written]
    total = sum(step.size for step in plan.written)
    on_event(Progress("verifying", 0, total))
    wrong = set(written) - _matching(surveyor, LIST, plan.entries, written, tree, how)
    if wrong:  # a damaged answer
        wrong -= _matching(surveyor, LIST, plan.entries, wrong, tree, how)
    on_event(Progress("verifying", total, total))
    if wrong:
        spellings = {path.casefold() for path in wrong}
        twice = [path for path in tree if path.casefold() in spellings]
        case = "" if len(twice) == len(wrong) else f" The filesystem ignores case, and there are {_named(twice)}."
        raise VerifyError(
            f"{len(wrong)} of {len(written)} files on the board differ from what was written: {_named(sorted(wrong))}",
            hint=f"Run the same command again.{case}",
        )


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(paths[:NAMED])}{more}"


@contextmanager
def _without_own_modules(found: Session) -> Iterator[None]:
    """Restart MicroPython, and let its imports find only what is in the firmware for the time of a ``with`` block.

    A module such as io.py in the board's filesystem comes before the one in the firmware, which is needed here.
    """
    found.repl.soft_reset(boot=found.boot)
    found.repl.run_again(_HIDE_PATH)
    yield
    if not found.reset:
        found.repl.run_again(_SHOW_PATH)


@contextmanager
def _reporting_state() -> Iterator[None]:
    """Make whatever ends the work early say what the board has now."""
    try:
        yield
    except KeyboardInterrupt:
        state = AGAIN.replace(". Run", "; run").removesuffix(".")
        raise FlashInterrupted(f"{state[:1].lower()}{state[1:]}") from None
    except LinkError as error:
        error.hint = f"{error.hint}\n{AGAIN}" if error.hint else AGAIN
        raise
