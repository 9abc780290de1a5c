"""The list, in the folder on the board, of the files and folders that were written there: nothing else is touched.

It is text, one path per line, relative to the folder; a folder ends with a slash. The first line says what it is, and
the last line has the project, a version, and a check sum. A new version goes into the one of two files that is not in
use, and the file of the version before is removed then: after a cut at any moment, the newest complete version counts.
There is no rename, which can leave FAT with two names for the same clusters.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from hatch_romfs.errors import BoardError
from hatch_romfs.paths import MAX_PATH, encode_name, path_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# FAT keeps such short names in one entry of a folder: less can go wrong in a power cut.
LISTS: Final = ("romfs-1.txt", "romfs-2.txt")
"""The names of the list, one of which is in use."""
TEMPORARY: Final = "romfs.tmp"
"""The name of the file that is being written. A cut leaves it there for the next run to remove."""
MARKER: Final = "# romfs-flash --to-filesystem wrote these files and folders, and may replace or remove them"
"""The first line."""
LARGEST: Final = 256 << 10
"""Bytes of the largest list: some 8,000 files."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LAST = re.compile(r"# ([0-9]{1,6}) entries(?: of (.+))?, version ([0-9]{1,9}), check ([0-9a-f]{8})")
_LONGEST_PROJECT = 60
"""Characters of a project's name that the list has."""
_OWN_NAMES = {name.casefold() for name in (*LISTS, TEMPORARY)}


class OwnedList(NamedTuple):
    """A complete list: the name of its file, its version, its entries in order, and the project, "" for no name."""

    name: str
    version: int
    entries: tuple[str, ...]
    project: str = ""


NO_LIST: Final = OwnedList(LISTS[1], 0, ())
"""What counts where there is no list."""


def owned_path_problem(path: str) -> str | None:
    """Return why a path cannot be that of a file or folder which is written to a board, or None."""
    if not path:
        return "a path is empty"
    if _CONTROL.search(path):
        return f"the name {path!r} contains a control character"
    if path.casefold() in _OWN_NAMES:  # FAT ignores case
        return f"the name {path} is that of romfs-flash's own file"
    if len(encode_name(path)) > MAX_PATH:
        return f"the path {path!r:.60} has more than {MAX_PATH} bytes"
    return path_problem(path)


def project_name(name: str | None) -> str:
    """Return how the list names the project whose image has a name, which can be any text."""
    text = _CONTROL.sub(" ", name or "").encode(errors="replace").decode()
    return text[:_LONGEST_PROJECT].strip()


def format_list(entries: Iterable[str], version: int, project: str = "") -> bytes:
    """Return the text of a list."""
    lines = sorted(entries)
    text = "".join(f"{line}\n" for line in (MARKER, *lines)).encode()
    return text + _last_line(text, len(lines), version, project).encode()


def _last_line(text: bytes, count: int, version: int, project: str) -> str:
    check = zlib.crc32(b"%d" % version + text + project.encode(errors="replace"))
    owner = f" of {project}" if project else ""
    return f"# {count} entries{owner}, version {version}, check {check:08x}\n"


def parse_list(name: str, lines: Sequence[str]) -> OwnedList | None:
    """Return the list that a file has, or None if it is not complete.

    Raises BoardError for a path in it that romfs-flash never writes.
    """
    last = _LAST.fullmatch(lines[-1]) if len(lines) > 1 else None
    if last is None or lines[0] != MARKER:
        return None
    text = "".join(f"{line}\n" for line in lines[:-1]).encode(errors="replace")
    project, version = last[2] or "", int(last[3])
    if lines[-1] + "\n" != _last_line(text, len(lines) - 2, version, project):
        return None
    for entry in lines[1:-1]:
        problem = owned_path_problem(entry.removesuffix("/"))
        if problem is not None:
            raise BoardError(
                f"{name} on the board: {problem}",
                hint=f"The list was changed by others. Remove {name} and the files of the app on the board,"
                " and run the same command again.",
            )
    return OwnedList(name, version, tuple(lines[1:-1]), project)
