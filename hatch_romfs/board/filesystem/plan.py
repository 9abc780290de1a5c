"""What to do so that a folder on a board has exactly the wanted tree beside what others put there. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from hatch_romfs.board.filesystem.owned import LIST, TEMPORARY, format_list
from hatch_romfs.board.filesystem.survey import FOLDER
from hatch_romfs.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hatch_romfs.board.filesystem.survey import State, Survey

Action = Literal["complete", "write", "make", "remove", "remove folder"]
"""``complete`` gives an unfinished list its name; ``make`` makes a folder; the others are what they say."""
STARTERS: Final = ("boot.py", "main.py")
"""What MicroPython runs at a start. They are written last, so that nothing starts an app which is not complete."""
INLINE: Final = 128
"""Bytes of the largest file that may need no block of its own: littlefs keeps such files in their folder."""
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the folder; ``size`` is a file's in bytes, and ``data`` the content of a list."""

    action: Action
    path: str
    size: int = 0
    data: bytes | None = None

    def __str__(self) -> str:
        return f"{self.action} {self.path}{f', {self.size:,} bytes' if self.action == 'write' else ''}"


@dataclass(frozen=True, slots=True)
class FilesystemPlan:
    """The steps, in order, and the ``entries`` of the list at the end.

    ``kept`` counts files that are right already. ``hidden`` are modules that a .py file of others hides.
    """

    steps: tuple[Step, ...]
    entries: tuple[str, ...]
    kept: int
    hidden: tuple[str, ...]

    @property
    def written(self) -> tuple[Step, ...]:
        """The steps that write files of the tree."""
        return tuple(step for step in self.steps if step.action == "write" and step.data is None)

    @property
    def removed(self) -> tuple[str, ...]:
        """The files that are removed because the tree no longer has them."""
        return tuple(step.path for step in self.steps if step.action == "remove" and step.path != TEMPORARY)


def make_plan(
    wanted: Mapping[str, int | None], survey: Survey, same: Collection[str], *, full: bool = False
) -> FilesystemPlan:
    """Return how the folder becomes the wanted tree: files with their sizes, and None for folders.

    ``same`` are the files whose content on the board is right already; with ``full``, those of ours are written again.
    Raises BoardError that names the files of others that are in the way.
    """
    owned = set(survey.listed)
    stale = sorted(owned - {_entry(path, size) for path, size in wanted.items()})
    removing = {entry.removesuffix("/").casefold() for entry in stale}  # FAT ignores case
    states = {path: None if path.casefold() in removing else survey.states.get(path) for path in wanted}
    foreign = {path for path, size in wanted.items() if states[path] is not None and _entry(path, size) not in owned}
    _check_foreign(wanted, states, foreign, same, survey.folder)
    ours = sorted(_entry(path, size) for path, size in wanted.items() if path not in foreign)
    writes = [
        Step("write", path, size)
        for path, size in wanted.items()
        if size is not None and path not in foreign and (full or states[path] is None or path not in same)
    ]
    steps = [
        *_remove_stale(stale, survey.states),
        *(Step("make", path) for path, size in sorted(wanted.items()) if size is None and states[path] is None),
        *sorted(writes, key=lambda step: (step.path in STARTERS, step.path)),
    ]
    kept = sum(size is not None for size in wanted.values()) - len(writes)
    hidden = tuple(
        path
        for path in sorted(survey.hidden & wanted.keys())
        if not {f"{path[:-3]}py", f"{path[:-3]}py".casefold()} & (wanted.keys() | removing)
    )
    return FilesystemPlan(tuple(_with_list(steps, ours, stale, survey)), tuple(ours), kept, hidden)


def _entry(path: str, size: int | None) -> str:
    """Return how the list names a file or a folder."""
    return f"{path}/" if size is None else path


def _check_foreign(
    wanted: Mapping[str, int | None],
    states: Mapping[str, State],
    foreign: Collection[str],
    same: Collection[str],
    folder: str,
) -> None:
    """Refuse to touch what others put where a file or folder of the tree should be."""
    problems = []
    for path, size in sorted(wanted.items()):
        state = states[path]
        if state is None or (state == FOLDER and size is None):
            continue
        if state == FOLDER:
            problems.append(f"{folder}{path} on the board is a folder, and should be a file")
        elif size is None:
            problems.append(f"{folder}{path} on the board is a file, and should be a folder")
        elif path in foreign and path not in same:
            problems.append(f"{folder}{path} is on the board already, and romfs-flash did not write it")
    if problems:
        if len(problems) > _NAMED:
            problems[_NAMED:] = [f"(and {len(problems) - _NAMED} more)"]
        hint = "Rename or remove it on the board, and run the same command again. Nothing on the board was changed."
        raise BoardError(problems, hint=hint)


def _remove_stale(stale: Iterable[str], states: Mapping[str, State]) -> Iterator[Step]:
    """Yield the removal of what the tree no longer has: files, then their folders from the inside out."""
    folders = [entry.removesuffix("/") for entry in stale if entry.endswith("/")]
    for entry in stale:
        if not entry.endswith("/") and isinstance(states[entry], int):
            yield Step("remove", entry)
    for path in reversed(folders):
        if states[path] == FOLDER:
            yield Step("remove folder", path)


def _with_list(steps: list[Step], ours: list[str], stale: list[str], survey: Survey) -> Iterator[Step]:
    """Yield the steps with those for the list: nothing of ours is ever on the board and not in it."""
    if survey.source == TEMPORARY:
        yield Step("complete", LIST, survey.list_size or 0)
    elif survey.temporary is not None and not any(step.action == "write" for step in steps):
        yield Step("remove", TEMPORARY)
    during = sorted({*ours, *stale})
    if set(during) != set(survey.listed):
        yield _write_list(during)
    yield from steps
    if stale and ours:
        yield _write_list(ours)
    elif stale:
        yield Step("remove", LIST)


def _write_list(entries: Iterable[str]) -> Step:
    data = format_list(entries)
    return Step("write", LIST, len(data), data)


def find_shortage(plan: FilesystemPlan, survey: Survey) -> int:
    """Return how many bytes the filesystem lacks for a plan at least, 0 if none.

    A file that is replaced needs its space twice for a moment, because the old one stays until the new one is complete.
    """
    sizes = {**survey.states, LIST: survey.list_size}
    free, lowest = survey.free, survey.free
    for step in plan.steps:
        old = sizes.get(step.path)
        freed = _blocks(old, survey.block) if isinstance(old, int) else 0
        if step.action == "write":
            used = _blocks(step.size, survey.block) if step.size > INLINE else 0
            lowest = min(lowest, free - used)
            free += freed - used
            sizes[step.path] = step.size
        elif step.action == "make":
            free -= 1
            lowest = min(lowest, free)
        elif step.action == "remove":
            free += freed
    return max(0, -lowest) * survey.block


def _blocks(size: int, block: int) -> int:
    return -(-size // block)
