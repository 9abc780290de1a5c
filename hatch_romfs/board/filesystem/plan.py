"""What to do so that a folder on a board has exactly the wanted tree beside what others put there. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from hatch_romfs.board.filesystem.owned import LISTS, NO_LIST, TEMPORARY, OwnedList, format_list
from hatch_romfs.board.filesystem.survey import FOLDER
from hatch_romfs.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hatch_romfs.board.filesystem.survey import State, Survey

Action = Literal["write", "write list", "make", "remove", "remove folder"]
"""``make`` makes a folder; the others are what they say."""
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
        return f"{self.action} {self.path}{f', {self.size:,} bytes' if self.action.startswith('write') else ''}"


@dataclass(frozen=True, slots=True)
class FilesystemPlan:
    """The steps, in order, and the list at the end.

    ``kept`` counts files that are right already. ``hidden`` are modules that a .py file of others hides.
    """

    steps: tuple[Step, ...]
    owned: OwnedList
    kept: int
    hidden: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.steps):,} steps, {self.kept:,} files kept>"

    @property
    def written(self) -> tuple[Step, ...]:
        """The steps that write files of the tree."""
        return tuple(step for step in self.steps if step.action == "write")

    @property
    def removed(self) -> tuple[str, ...]:
        """The files that are removed because the tree no longer has them."""
        again = {step.path for step in self.written}
        removed = (step.path for step in self.steps if step.action == "remove")
        return tuple(path for path in removed if path not in again and path not in (*LISTS, TEMPORARY))


def make_plan(
    wanted: Mapping[str, int | None], survey: Survey, same: Collection[str], project: str = "", *, full: bool = False
) -> FilesystemPlan:
    """Return how the folder becomes the wanted tree: files with their sizes, and None for folders.

    ``same`` are the files whose content on the board is right already; with ``full``, those of ours are written again.
    ``project`` is whose tree it is.
    Raises BoardError that names the files of others that are in the way.
    """
    owned = set(survey.owned.entries)
    stale = sorted(owned - {_entry(path, size) for path, size in wanted.items()})
    linked = _find_linked(owned, survey)
    removing = {entry.removesuffix("/").casefold() for entry in (*stale, *linked)}  # FAT ignores case
    states = {path: None if path.casefold() in removing else survey.states[path] for path in wanted}
    foreign = {path for path, size in wanted.items() if states[path] is not None and _entry(path, size) not in owned}
    _check_foreign(wanted, states, foreign, same, survey.folder)
    ours = sorted(_entry(path, size) for path, size in wanted.items() if path not in foreign)
    writes = [
        Step("write", path, size)
        for path, size in wanted.items()
        if size is not None and path not in foreign and (full or states[path] is None or path not in same)
    ]
    steps = [
        *_remove_stale([entry for entry in stale if entry not in linked], survey.states),
        *(Step("make", path) for path, size in sorted(wanted.items()) if size is None and states[path] is None),
        *sorted(writes, key=lambda step: (step.path in STARTERS, step.path)),
    ]
    kept = sum(size is not None for size in wanted.values()) - len(writes)
    hidden = tuple(
        path
        for path in sorted(survey.hidden & wanted.keys())
        if not {f"{path[:-3]}py", f"{path[:-3]}py".casefold()} & (wanted.keys() | removing)
    )
    cleaning = [*(Step("remove", path) for path in linked), *_remove_leftovers(survey)]
    before, after, final = _lists(survey.owned, ours, stale, project)
    return FilesystemPlan((*cleaning, *before, *steps, *after), final, kept, hidden)


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


def _find_linked(owned: Collection[str], survey: Survey) -> list[str]:
    """Return the files that may share their clusters with an unfinished file.

    A power cut in a rename on FAT can leave both names. To remove only one of them would take the other's clusters
    away, so both are removed, one right after the other.
    """
    size = survey.states[TEMPORARY]
    if not survey.ignores_case or not size:
        return []
    return sorted(entry for entry in owned if survey.states.get(entry) == size)


def _remove_leftovers(survey: Survey) -> Iterator[Step]:
    """Yield the removal of what a cut left of romfs-flash's own files."""
    if survey.states[TEMPORARY] is not None:
        yield Step("remove", TEMPORARY)
    for name in LISTS:
        in_use = survey.owned.version and name == survey.owned.name
        if survey.states[name] is not None and not in_use:
            yield Step("remove", name)


def _lists(
    owned: OwnedList, ours: list[str], stale: list[str], project: str
) -> tuple[list[Step], list[Step], OwnedList]:
    """Return the steps for the list before and after all others, and the list at the end.

    Nothing of ours is ever on the board and not in the list.
    """
    before: list[Step] = []
    after: list[Step] = []
    during = {*ours, *stale}
    if during != set(owned.entries) or (ours and owned.project != project):
        before, owned = _replace_list(owned, during, project)
    if stale and ours:
        after, owned = _replace_list(owned, ours, project)
    elif stale:
        after, owned = [Step("remove", owned.name)], NO_LIST
    return before, after, owned


def _replace_list(owned: OwnedList, entries: Collection[str], project: str) -> tuple[list[Step], OwnedList]:
    """Return the steps that write a new version of the list and remove the one before, and the new one."""
    name = LISTS[1 - LISTS.index(owned.name)]
    new = OwnedList(name, owned.version + 1, tuple(sorted(entries)), project)
    data = format_list(entries, new.version, project)
    steps = [Step("write list", name, len(data), data)]
    if owned.version:
        steps.append(Step("remove", owned.name))
    return steps, new


def find_shortage(plan: FilesystemPlan, survey: Survey) -> int:
    """Return how many bytes the filesystem lacks for a plan at least, 0 if none.

    A file that is replaced needs its space twice for a moment, because the old one stays until the new one is complete.
    """
    sizes = dict(survey.states)
    free, lowest = survey.free, survey.free
    for step in plan.steps:
        old = sizes.get(step.path)
        freed = _blocks(old, survey.block) if isinstance(old, int) else 0
        if step.action in ("write", "write list"):
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
