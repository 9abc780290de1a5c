"""Messages between the command and the process of one board, as lines of JSON.

The command sends one ``Job``. The process answers with events; the last one is ``Finished``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from hatch_romfs.events import Progress


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file to write: its path, what its metadata says, and the SHA-256 and the size of the whole image."""

    path: str
    name: str | None
    version: str | None
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with one board.

    Without ``image``, the board is only asked what it is. ``board`` is the name of the known board that the image is
    for. ``done`` are the unique IDs of boards that have the image already, ``machines`` are parts that the name of
    the machine must contain, and ``report`` is the file that the result is appended to, if any. The others are
    options of ``romfs-flash``.
    """

    port: str
    image: ImageFile | None = None
    partition: int = 0
    board: str | None = None
    report: str | None = None
    done: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    force: bool = False
    full: bool = False
    reset: bool = True
    baudrate: int = 115200
    dtr: bool | None = None
    rts: bool | None = None
    wait: float = 0.0
    boot: bool = True


class Found(NamedTuple):
    """The board at a port, before anything on it is changed."""

    port: str
    serial_number: str | None
    unique_id: str | None
    machine: str
    version: str


class Message(NamedTuple):
    """A line about what is being waited for, or a warning."""

    text: str
    is_warning: bool = False


class Alive(NamedTuple):
    """A sign of life, of a process that has just been started or that waits for its board."""


class Finished(NamedTuple):
    """How it ended.

    ``identified``: nothing was to be written. ``done``: this board has the image already, as the report says, or as
    this run has seen. ``other``: the machine is not one of those that are meant. ``status`` is an exit status, and
    ``entry`` what the report contains about a board that was flashed.
    """

    result: Literal["verified", "failed", "done", "other", "identified"]
    status: int = 0
    reason: str = ""
    hint: str = ""
    entry: dict[str, Any] | None = None


Event: TypeAlias = "Found | Progress | Message | Alive | Finished"
_KINDS: Final[dict[str, type[Found | Progress | Message | Alive | Finished]]] = {
    kind.__name__: kind for kind in (Found, Progress, Message, Alive, Finished)
}


def encode_job(job: Job) -> bytes:
    """Return a job as a line."""
    return json.dumps(asdict(job)).encode() + b"\n"


def decode_job(line: bytes) -> Job:
    """Return the job of a line."""
    values = json.loads(line)
    image = values.pop("image")
    values |= {name: tuple(values[name]) for name in ("done", "machines")}
    return Job(image=image and ImageFile(**image), **values)


def encode_event(event: Event) -> bytes:
    """Return an event as a line."""
    return json.dumps({"kind": type(event).__name__, **event._asdict()}).encode() + b"\n"


def decode_event(line: bytes) -> Event | None:
    """Return the event of a line, or None for anything else, such as the traceback of a process that crashed."""
    try:
        values = json.loads(line)
        return _KINDS[values.pop("kind")](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
