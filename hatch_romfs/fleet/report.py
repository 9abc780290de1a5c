"""A report in JSON lines, one for each board that was flashed, appended so that no line is ever lost or torn.

Each line is one write to a file that is opened for appending, under a lock. A process that is killed leaves its line
or none; if a power cut leaves a part of one, the next append removes it.
"""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from hatch_romfs.errors import BuildError, SettingsError, unreadable
from romfs_manifest.shared.opening import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LONGEST_LINE: Final = 64 << 10
"""Bytes of the longest line."""
LARGEST: Final = 256 << 20
"""Bytes of the largest report."""
_LONGEST_TEXT: Final = 2000
"""Characters of a text that comes from a board."""
LOCK_TIMEOUT: Final = 60.0
"""Seconds to wait for a lock: its owners need it for milliseconds."""
_POLL: Final = 0.01
_BEGINNING: Final = b'{"time": '
"""How every line begins."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened to one board. ``time`` is that of the result, in UTC.

    ``sha256`` is that of the image file. ``blocks`` and ``bytes`` were written, in ``seconds``; ``retries`` counts
    blocks that were written again and frames that were sent again. ``reason`` says why it failed, "" if it did not.
    """

    time: str
    port: str
    serial_number: str | None
    unique_id: str | None
    machine: str | None
    firmware: str | None
    image: str | None
    version: str | None
    sha256: str
    partition: int
    blocks: int
    bytes: int
    seconds: float
    retries: int
    result: Literal["verified", "failed"]
    reason: str = ""


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **{field.name: (str,) for field in fields(Entry)},
    **dict.fromkeys(("serial_number", "unique_id", "machine", "firmware", "image", "version"), (str, type(None))),
    **dict.fromkeys(("partition", "blocks", "bytes", "retries"), (int,)),
    "seconds": (int, float),
}


def now() -> str:
    """Return the time in UTC, as entries contain it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def check_report(path: Path) -> None:
    """Check before anything is flashed that a report can be written, and create it if it does not exist.

    Raises SettingsError, also for a file that is anything else.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        problem = "is a folder" if path.is_dir() else f"the folder {path.parent} does not exist"
        raise SettingsError(f"--report {path}: {problem}", hint="Name a file in a folder that exists.")
    if path.exists():
        read_report(path)
    try:
        with _locked(path):
            pass
    except OSError as error:
        raise SettingsError(f"--report {path}: cannot be written: {error.strerror or error}") from error


def append(path: Path, entry: Entry) -> None:
    """Add a line to a report, and return when it is on the disk; raises BuildError where it cannot be written."""
    line = _encode(entry)
    try:
        with _locked(path) as file:
            size = _repair(file, path)
            written = os.write(file, line)
            if written < len(line):  # a full disk
                os.ftruncate(file, size)
                raise BuildError(f"{path}: the line cannot be written: the disk is full")
            os.fsync(file)
    except OSError as error:
        raise BuildError(f"{path}: the line cannot be written: {error.strerror or error}") from error


def read_report(path: Path) -> list[Entry]:
    """Return the entries of a report, without a last line that a power cut has torn.

    Raises SettingsError that names the line where the file is not a report.
    """
    try:
        data = read_regular(path, LARGEST)
    except OSError as error:
        raise unreadable(path, error, "a file that --report has written") from error
    *lines, rest = data.split(b"\n")
    if rest and not _is_torn(rest):
        lines.append(rest)
    entries = []
    for number, line in enumerate(lines, 1):
        entry = decode(line)
        if entry is None:
            raise SettingsError(
                f"{path}:{number}: not a line of a report",
                hint="Remove this line if --report has written the file, or else name another file.",
            )
        entries.append(entry)
    return entries


def decode(line: bytes) -> Entry | None:
    """Return the entry of a line, or None if it is not one; unknown keys are those of a newer release."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return from_document(document)


def from_document(document: object) -> Entry | None:
    """Return the entry with the given keys, or None if they do not make one."""
    if not isinstance(document, dict) or not _TYPES.keys() <= document.keys():
        return None
    values = {name: document[name] for name in _TYPES}
    if not all(type(value) in _TYPES[name] for name, value in values.items()):  # a bool is not a number here
        return None
    if isinstance(values["seconds"], float) and not math.isfinite(values["seconds"]):  # no JSON, for other readers
        return None
    return Entry(**values) if values["result"] in ("verified", "failed") else None


def to_document(entry: Entry) -> dict[str, Any]:
    """Return the keys of an entry, in their order."""
    return asdict(entry)


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each partition of each board, in the order in which the boards first appear.

    A board is identified by its unique ID. One that did not answer has none: there the serial number says which it
    is, if it has ever answered, or else the port.
    """
    entries = list(entries)
    unique_ids = {entry.serial_number: entry.unique_id for entry in entries if entry.serial_number and entry.unique_id}
    found: dict[tuple[str, int], Entry] = {}
    for entry in entries:
        known = entry.unique_id or unique_ids.get(entry.serial_number or "")
        found[known or entry.serial_number or entry.port, entry.partition] = entry
    return list(found.values())


def done(entries: Iterable[Entry], sha256: str, partition: int) -> set[str]:
    """Return the unique IDs of the boards that have an image already: their last result says so."""
    return {
        entry.unique_id
        for entry in latest(entries)
        if entry.unique_id and (entry.result, entry.sha256, entry.partition) == ("verified", sha256, partition)
    }


def _encode(entry: Entry) -> bytes:
    shortened = {
        name: value[:_LONGEST_TEXT] if isinstance(value, str) else value for name, value in asdict(entry).items()
    }
    return json.dumps(shortened).encode() + b"\n"


def _is_torn(rest: bytes) -> bool:
    """Tell whether a last line without a newline is the beginning of a line that was cut off."""
    return rest.startswith(_BEGINNING[: len(rest)]) and decode(rest) is None


def _repair(file: int, path: Path) -> int:
    """Remove what a power cut left of a last line, and return the size; raises SettingsError for any other content."""
    size = os.fstat(file).st_size
    start = max(0, size - LONGEST_LINE)
    os.lseek(file, start, os.SEEK_SET)
    tail = os.read(file, LONGEST_LINE)
    last = tail.rpartition(b"\n")[2]
    if not last:
        return size
    if decode(last) is not None:  # only its newline is missing
        os.write(file, b"\n")
        return size + 1
    if not _is_torn(last):
        raise SettingsError(f"{path}: the last line is not one of a report", hint="Choose another file for --report.")
    os.ftruncate(file, size - len(last))
    return size - len(last)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a report for appending, which no other process does at the same time."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    file = os.open(path, flags, 0o666)
    try:
        _lock(file)
        try:
            yield file
        finally:
            _unlock(file)
    finally:
        os.close(file)


def _still_locked(error: OSError) -> OSError:
    """Return the error of a lock that did not become free; what the system says of it is of no help."""
    return OSError(error.errno, "another program keeps it locked; end that program")


if os.name == "nt":
    _PLACE: Final = (1 << 31) - 2
    """The byte that is locked: behind the end, because locks of Windows prevent reading."""

    def _lock(file: int) -> None:
        import msvcrt  # noqa: PLC0415 - only there on Windows

        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            os.lseek(file, _PLACE, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            except OSError as error:
                if time.monotonic() > deadline:
                    raise _still_locked(error) from error
                time.sleep(_POLL)
            else:
                return

    def _unlock(file: int) -> None:
        import msvcrt  # noqa: PLC0415 - only there on Windows

        os.lseek(file, _PLACE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]

else:

    def _lock(file: int) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows

        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:  # noqa: PERF203 - a retry
                if time.monotonic() > deadline:
                    raise _still_locked(error) from error
                time.sleep(_POLL)
            else:
                return

    def _unlock(file: int) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows

        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
