"""What a folder of a board's filesystem contains: asked for, checked, and returned as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from hatch_romfs.board.agent import ANSWER, install, longest_answer, shorten
from hatch_romfs.board.answers import RefusedError, read_result
from hatch_romfs.board.filesystem.owned import LARGEST, LISTS, MARKER, NO_LIST, TEMPORARY, OwnedList, parse_list
from hatch_romfs.board.frame import check_sum
from hatch_romfs.board.hashes import SLOWEST, algorithm
from hatch_romfs.board.mperrno import describe
from hatch_romfs.board.repl import RaisedError
from hatch_romfs.errors import BoardError, LinkError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.repl import RawRepl

FOLDER: Final = "folder"
State: TypeAlias = "int | Literal['folder'] | None"
"""What a path is: the size of a file in bytes, FOLDER, or None for nothing."""
TRIES: Final = 3
"""How often the board is asked where its answer arrives damaged."""
ASKED: Final = 1 << 10
"""Bytes of paths in one question to a board."""
SLOWEST_LOOK: Final = 0.2
"""Seconds in which the slowest filesystem finds a file."""
LONGEST_LOOK: Final = 300.0
"""Seconds in which all files of the longest list must be found."""
LINE: Final = 64
"""Bytes of an answer's line beside the path, at most."""
_SPACE = re.compile(r"(\S+) ([0-9]{1,10}) ([0-9]{1,10}) ([0-9]{1,10}) (/(?:[^/]+/)*)")
_STATE = re.compile(r"(-|d|[0-9]{1,10}|\?[0-9]{1,5}) ([01]|True|False) (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder on a board.

    ``folder`` is its absolute path with a slash at the end, and ``exists`` says whether it is there. ``block`` is the
    size in bytes of the filesystem's blocks, of which it has ``blocks``, and ``free`` free ones. ``owned`` is the list
    there. ``states`` are what the paths are that were asked for or listed, without slashes at the end, and those of
    romfs-flash's own files. ``ignores_case`` is whether the filesystem is known to do so, as FAT does. ``hidden`` are
    modules that MicroPython would not import because there is a .py file too.
    """

    folder: str
    exists: bool
    block: int
    blocks: int
    free: int
    owned: OwnedList = NO_LIST
    ignores_case: bool = False
    states: dict[str, State] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


class Surveyor:
    """Asks a board about a folder. ``folder`` is relative to the board's working folder, or absolute."""

    def __init__(self, repl: RawRepl, board: Board, folder: str) -> None:
        self._repl, self._board, self._folder = repl, board, folder
        self._hidden: set[str] = set()

    def survey(self, paths: Collection[str]) -> Survey:
        """Return what the folder has: its list, what that lists, and ``paths``. Raises BoardError and LinkError."""
        install(self._repl, self._board, "agent_hash", "agent_files")
        names = (*LISTS, TEMPORARY.upper(), TEMPORARY)
        lines = self._ask(f"begin({self._folder!r},{names!r})", ANSWER)
        exists, folder, block, blocks, free = self._read_space(lines[0] if lines else "")
        own = self._read_states(lines[1:])
        if own.keys() != set(names):
            raise self._not_understood(" ".join(lines))
        for name in (*LISTS, TEMPORARY):
            if own[name] == FOLDER:
                raise BoardError(f"{folder}{name} on the board is a folder", hint="Rename it; the name is needed.")
        ignores_case = own.pop(TEMPORARY.upper()) is not None and own[TEMPORARY] is not None
        owned, states = self._find_list(own)
        states |= own
        unknown = [path for path in paths if path not in states]
        for part in _in_parts(unknown):
            states |= self._read_states(self._ask(f"sizes({tuple(part)!r})", ANSWER + SLOWEST_LOOK * len(part)))
        if not states.keys() >= set(paths):
            raise self._not_understood(" ".join(sorted(states)))
        return Survey(folder, exists, block, blocks, free, owned, ignores_case, states, frozenset(self._hidden))

    def hashes(self, owned: OwnedList, paths: Collection[str], size: int) -> dict[str, str | None]:
        """Return the hash of each path, None where the board cannot read it.

        ``owned`` is the list on the board, by whose numbers the board finds most paths. ``size`` is how many bytes are
        hashed.
        """
        how = algorithm(self._board)
        numbers = {entry: number for number, entry in enumerate(owned.entries, 1)}
        listed = sorted((path for path in paths if path in numbers), key=numbers.__getitem__)
        questions = []
        if listed:
            ranges = _ranges([numbers[path] for path in listed])
            questions.append((listed, f"sums({how!r},listed({owned.name!r},{ranges!r}))"))
        unlisted = _in_parts(path for path in paths if path not in numbers)
        questions += [(part, f"sums({how!r},{tuple(part)!r})") for part in unlisted]
        found: dict[str, str | None] = {}
        for names, code in questions:
            timeout = ANSWER + SLOWEST_LOOK * len(names) + 2 * size / SLOWEST[how]
            most = LINE * 2 * len(names) + longest_answer(size if how == "bytes" else 0)
            found |= dict(zip(names, self._ask_hashes(code, len(names), timeout, most), strict=True))
        return found

    def _ask_hashes(self, code: str, count: int, timeout: float, most: int) -> list[str | None]:
        for _ in range(TRIES):
            answer = self._run(code, timeout + self._repl.link.seconds_for(most), most)
            lines = answer.splitlines()
            if len(lines) == count and all(line[:1] in ("=", "!") for line in lines):
                return [_read_hash(line) for line in lines]
        raise self._not_understood(answer)

    def _ask(self, code: str, timeout: float, most: int = LARGEST) -> list[str]:
        """Return the lines of an answer that has a check sum."""
        for _ in range(TRIES):
            answer = self._run(code, timeout, most)
            *lines, last = answer.replace("\r\n", "\n").removesuffix("\n").split("\n")
            if last == f"sum {check_sum(''.join(lines).encode(errors='replace'))}":
                return lines
        raise self._not_understood(answer)

    def _run(self, code: str, timeout: float, most: int) -> str:
        return self._repl.run_again(shorten(code, self._board), timeout, most=most)

    def _not_understood(self, answer: str) -> LinkError:
        return LinkError(
            f"{self._repl.link.name}: the board's description of its filesystem cannot be understood: {answer[:200]!r}",
            hint="Run the same command again.",
        )

    def _read_space(self, line: str) -> tuple[bool, str, int, int, int]:
        """Return whether the folder exists, its path, and the filesystem's block, blocks, and free blocks."""
        match = _SPACE.fullmatch(line)
        if match is None:
            raise self._not_understood(line)
        state, folder, block, blocks, free = match[1], match[5], int(match[2]), int(match[3]), int(match[4])
        if not block or not blocks:
            raise BoardError(
                f"{self._board.machine} has no filesystem at {folder}",
                hint="Name a folder in one, such as --to-filesystem /flash.",
            )
        if state not in ("-", "d"):
            raise BoardError(f"{folder.removesuffix('/')} on the board is not a folder", hint="Name another folder.")
        return state == "d", folder, block, blocks, free

    def _read_states(self, lines: Sequence[str]) -> dict[str, State]:
        states: dict[str, State] = {}
        for line in lines:
            match = _STATE.fullmatch(line)
            if match is None:
                raise self._not_understood(line)
            state, path = match[1], match[3].removesuffix("/")
            if state.startswith("?"):
                raise BoardError(f"the board's filesystem refuses the name {path}: {describe(int(state[1:]))}")
            states[path] = None if state == "-" else FOLDER if state == "d" else int(state)
            if match[2] in ("1", "True"):
                self._hidden.add(path)
        return states

    def _find_list(self, own: dict[str, State]) -> tuple[OwnedList, dict[str, State]]:
        """Return the newest complete list, and what its entries are."""
        found: list[tuple[OwnedList, dict[str, State]]] = []
        for name in LISTS:
            size = own[name]
            if not isinstance(size, int):
                continue
            one = self._read_list(name, size)
            if one is not None:
                found.append(one)
            elif not self._is_ours(name):
                raise BoardError(
                    f"{name} on the board was not written by romfs-flash",
                    hint="Rename it: romfs-flash needs this name for its list of files.",
                )
        return max(found, key=lambda one: one[0].version, default=(NO_LIST, {}))

    def _is_ours(self, name: str) -> bool:
        """Return whether a file is the beginning of a list, or empty."""
        code = f"with open(base+{name!r},'rb')as f:print({MARKER.encode()!r}.startswith(f.read({len(MARKER)})))"
        return self._run(code, ANSWER, LINE).strip() == "True"

    def _read_list(self, name: str, size: int) -> tuple[OwnedList, dict[str, State]] | None:
        """Return a list and what each of its entries is, or None if it is not complete."""
        if size > LARGEST:
            return None
        try:
            lines = self._ask(
                f"sizes(listed({name!r}))", min(ANSWER + SLOWEST_LOOK * size / 20, LONGEST_LOOK), 8 * LARGEST
            )
        except RaisedError:  # text that is not UTF-8
            return None
        texts = [line.split(" ", 2)[2] for line in lines if line.count(" ") >= 2]  # noqa: PLR2004 - state, flag, path
        owned = parse_list(name, texts) if len(texts) == len(lines) else None
        return None if owned is None else (owned, self._read_states(lines[1:-1]))


def _read_hash(line: str) -> str | None:
    try:
        return read_result(line)
    except RefusedError:
        return None


def _in_parts(paths: Collection[str] | Iterator[str]) -> Iterator[list[str]]:
    """Yield the paths in parts that fit into a question."""
    part: list[str] = []
    size = 0
    for path in paths:
        if part and size + len(path) > ASKED:
            yield part
            part, size = [], 0
        part.append(path)
        size += len(path)
    if part:
        yield part


def _ranges(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return ascending numbers as ranges, each with its first and last."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)
