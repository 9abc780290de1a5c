"""Write the tree of an image into a board's writable filesystem, for scripts too. Nothing prints here."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hatch_romfs.board import checks
from hatch_romfs.board.channel import channel_on
from hatch_romfs.board.filesystem.compare import compare, find_matching, without_own_modules
from hatch_romfs.board.filesystem.owned import project_name
from hatch_romfs.board.filesystem.plan import find_shortage, make_plan
from hatch_romfs.board.filesystem.replacing import FilesystemReplacement, ignore_replacement
from hatch_romfs.board.filesystem.wanted import check_folder, name_some, read_tree, sizes_of
from hatch_romfs.board.filesystem.writer import AGAIN, FileWriter
from hatch_romfs.board.hashes import algorithm
from hatch_romfs.board.mperrno import describe
from hatch_romfs.board.session import PortOptions, ignore_board, session
from hatch_romfs.errors import BoardError, FlashInterrupted, LinkError, VerifyError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.formats import open_image
from hatch_romfs.tree import File

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.filesystem.plan import FilesystemPlan
    from hatch_romfs.board.filesystem.survey import Survey, Surveyor
    from hatch_romfs.board.filesystem.wanted import Tree
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import OnBoard, Session
    from hatch_romfs.events import Report
    from hatch_romfs.formats.image import Image

    OnWritten = Callable[[Session, "FilesystemResult"], None]
    OnReplace = Callable[["FilesystemReplacement"], None]


ROOTS: Final = ("/", "/flash/")
"""Where MicroPython looks for the programs that it starts."""


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

    def __repr__(self) -> str:
        where = f"{self.folder!r} of {self.board!r}"
        return f"<{type(self).__name__}: {self.files:,} files, {self.size:,} bytes in {where}, {self.plan!r}>"


def write_filesystem(  # noqa: PLR0913 - the options of a command
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
    on_replace: OnReplace = ignore_replacement,
    on_written: OnWritten = ignore_result,
    trace: Trace | None = None,
) -> FilesystemResult:
    """Write the files of an image into a folder of a board's writable filesystem.

    After a cut at any moment, each file is the old or the new one. Only what romfs-flash wrote is replaced or removed.
    ``folder`` is absolute or relative to the board's working folder, which is the default. ``force`` writes code that
    the firmware refuses, ``full`` also the files that are right already, ``dry_run`` nothing at all. ``on_board`` is
    called with the board before anything is written, ``on_replace`` likewise if there are files of an earlier run, and
    ``on_written`` while the board is still at its prompt.

    Raises SettingsError, ImageError, LinkError, BoardError, and VerifyError.
    """
    options = PortOptions.of(port)
    check_folder(folder)
    with open_image(image) as opened, session(options, trace) as found:
        opened.check()
        found.reset = reset
        on_board(found.board)
        result = write_filesystem_on(
            found,
            opened,
            folder=folder,
            force=force,
            full=full,
            dry_run=dry_run,
            on_event=on_event,
            on_replace=on_replace,
        )
        on_written(found, result)
        return result


def write_filesystem_on(  # noqa: PLR0913 - the options of a command
    found: Session,
    image: Image,
    *,
    folder: str = "",
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    on_event: Report = ignore_progress,
    on_replace: OnReplace = ignore_replacement,
) -> FilesystemResult:
    """Do what ``write_filesystem`` does with a valid image, on a board that has a prompt before and afterwards.

    Raises LinkError, BoardError, and VerifyError.
    """
    tree = read_tree(image)
    if not force:
        checks.check_code(image, found.board)
    with without_own_modules(found):
        return _write_tree(
            found,
            tree,
            folder,
            project_name(image.name),
            full=full,
            dry_run=dry_run,
            on_event=on_event,
            on_replace=on_replace,
        )


def erase_filesystem(
    port: str | PortOptions | None = None,
    *,
    folder: str = "",
    dry_run: bool = False,
    on_event: Report = ignore_progress,
    trace: Trace | None = None,
) -> FilesystemResult:
    """Remove the files that ``write_filesystem`` wrote into a folder; raises LinkError and BoardError."""
    options = PortOptions.of(port)
    check_folder(folder)
    with session(options, trace) as found, without_own_modules(found):
        return _write_tree(found, {}, folder, full=False, dry_run=dry_run, on_event=on_event)


def _write_tree(  # noqa: PLR0913 - what write_filesystem was asked for
    found: Session,
    tree: Tree,
    folder: str,
    project: str = "",
    *,
    full: bool,
    dry_run: bool,
    on_event: Report,
    on_replace: OnReplace = ignore_replacement,
) -> FilesystemResult:
    """Compare, plan, write, and verify the result."""
    surveyor, survey, same = compare(found, tree, folder, on_event)
    plan = make_plan(sizes_of(tree), survey, same, project, full=full)
    shortage = find_shortage(plan, survey)
    if shortage:
        raise BoardError(
            f"the files do not fit into the filesystem of {found.board.machine}:"
            f" {survey.free * survey.block:,} bytes are free, and at least {shortage:,} more are needed",
            hint="Free some space on the board, or exclude files from the project. Nothing on the board was changed.",
        )
    if survey.owned.entries:
        on_replace(FilesystemReplacement(survey.folder, survey.owned.project, project, plan.removed))
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


def _warnings(plan: FilesystemPlan, survey: Survey, tree: Tree) -> Iterator[str]:
    """Yield what keeps MicroPython from using the files."""
    for path in plan.hidden:
        source = f"{survey.folder}{path[:-3]}py"
        yield f"{source} on the board hides {path}: MicroPython imports the .py file. Remove it on the board."
    for name in ("boot", "main") if survey.folder in ROOTS else ():
        if f"{name}.mpy" in tree and f"{name}.py" not in tree:
            yield (
                f"MicroPython does not start {name}.mpy, only {name}.py:"
                f' exclude it from compiling with tool.romfs.mpy.exclude = ["{name}.py"]'
            )


def _write(
    found: Session,
    survey: Survey,
    plan: FilesystemPlan,
    tree: Tree,
    on_event: Report,
) -> FileWriter:
    """Carry out the plan; return the writer."""

    def read(path: str) -> bytes:
        node = tree[path]
        return node.read() if isinstance(node, File) else b""

    if not survey.exists:
        _make_folder(found, survey.folder)
    total = sum(step.size for step in plan.steps if step.action.startswith("write"))
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
    """Make a folder on the board and its parents; raises BoardError."""
    names = folder.strip("/").split("/")
    paths = tuple("/" + "/".join(names[: count + 1]) for count in range(len(names)))
    code = (
        f"import os\nr='done'\nfor p in {paths!r}:\n try:os.mkdir(p)\n"
        f" except OSError as e:r=r if e.errno==17 else'error %d'%e.errno\nif r=='done':enter({folder!r})\nprint(r)"
    )
    answer = found.repl.run_again(code).strip()
    if answer != "done":
        number = answer.removeprefix("error ")
        reason = describe(int(number)) if re.fullmatch("[0-9]{1,5}", number) else repr(answer[:100])
        raise BoardError(f"the board cannot make the folder {folder}: {reason}", hint="Name another folder.")


def _verify(surveyor: Surveyor, plan: FilesystemPlan, tree: Tree, how: str, on_event: Report) -> None:
    """Have the board hash every file that was written; raises VerifyError."""
    written = [step.path for step in plan.written]
    total = sum(step.size for step in plan.written)
    on_event(Progress("verifying", 0, total))
    wrong = set(written) - find_matching(surveyor, plan.owned, written, tree, how)
    if wrong:  # a damaged answer
        wrong -= find_matching(surveyor, plan.owned, wrong, tree, how)
    on_event(Progress("verifying", total, total))
    if wrong:
        spellings = {path.casefold() for path in wrong}
        twice = [path for path in tree if path.casefold() in spellings]
        case = "" if len(twice) == len(wrong) else f" The filesystem ignores case, and there are {name_some(twice)}."
        raise VerifyError(
            f"{len(wrong)} of {len(written)} files on the board are not what was written: {name_some(sorted(wrong))}",
            hint=f"Run the same command again.{case}",
        )


@contextmanager
def _reporting_state() -> Iterator[None]:
    """Add what the board contains now to every error that ends the work early."""
    try:
        yield
    except KeyboardInterrupt:
        state = AGAIN.replace(". Run", "; run").removesuffix(".")
        raise FlashInterrupted(f"{state[:1].lower()}{state[1:]}") from None
    except LinkError as error:
        error.hint = f"{error.hint}\n{AGAIN}" if error.hint else AGAIN
        raise
