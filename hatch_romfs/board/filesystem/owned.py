"""The list, in the folder on the board, of the files and folders that were written there: nothing else is touched.

It is text, one path per line, relative to the folder; a folder ends with a slash. The first line says what it is, and
the last line has a check sum. A list that was changed by others is not believed.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import BoardError
from hatch_romfs.paths import MAX_PATH, encode_name, path_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIST: Final = "romfs-flash.txt"
"""The name of the list."""
TEMPORARY: Final = "romfs-flash.tmp"
"""The name of the file that is being written, maybe the list. A cut leaves it there for the next run to remove."""
MARKER: Final = "# romfs-flash --to-filesystem wrote these files and folders, and may replace or remove them"
"""The first line."""
LARGEST: Final = 256 << 10
"""Bytes of the largest list: some 8,000 files."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LAST = re.compile(r"# ([0-9]{1,6}) entries, check ([0-9a-f]{8})")


def owned_path_problem(path: str) -> str | None:
    """Return why a path cannot be that of a file or folder which is written to a board, or None."""
    if not path:
        return "a path is empty"
    if _CONTROL.search(path):
        return f"the name {path!r} contains a control character"
    if path in (LIST, TEMPORARY):
        return f"the name {path} is that of romfs-flash's own file"
    if len(encode_name(path)) > MAX_PATH:
        return f"the path {path!r:.60} has more than {MAX_PATH} bytes"
    return path_problem(path)


def format_list(entries: Iterable[str]) -> bytes:
    """Return the list of these entries, which are sorted."""
    lines = sorted(entries)
    text = "".join(f"{line}\n" for line in (MARKER, *lines)).encode()
    return text + f"# {len(lines)} entries, check {zlib.crc32(text):08x}\n".encode()


def parse_list(lines: Sequence[str]) -> tuple[str, ...] | None:
    """Return the entries of a list, or None if it is not complete.

    Raises BoardError for a path in it that romfs-flash never writes.
    """
    last = _LAST.fullmatch(lines[-1]) if len(lines) > 1 else None
    if last is None or lines[0] != MARKER or int(last[1]) != len(lines) - 2:
        return None
    if zlib.crc32("".join(f"{line}\n" for line in lines[:-1]).encode(errors="replace")) != int(last[2], 16):
        return None
    for entry in lines[1:-1]:
        problem = owned_path_problem(entry.removesuffix("/"))
        if problem is not None:
            raise BoardError(f"{LIST} on the board: {problem}", hint=f"It was changed by others. {REMOVE_LIST}")
    return tuple(lines[1:-1])


REMOVE_LIST: Final = (
    f"Remove {LIST} on the board, and the files of the app that are there, and run the same command again."
)
"""What to do about a list that cannot be believed."""
