"""``fleet.toml``: which image goes to which board."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.formats import is_image
from hatch_romfs.settings.project import load_toml
from hatch_romfs.settings.table import Model, Table, key
from hatch_romfs.settings.types import INVALID, Int, Place, TableOf, Text, read
from hatch_romfs.settings.values import IMAGE_NAME as IMAGE_NAMES
from hatch_romfs.settings.values import MAX_PARTITION

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_romfs.settings.types import Problems

_ADVICE = "Name the TOML file that describes the fleet: --fleet FILE."
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,49}"


def _name_problem(name: str) -> str | None:
    allowed = "must consist of up to 50 letters, digits, '.', '_', and '-', and begin with a letter or digit"
    return None if re.fullmatch(_NAME, name) else f"{allowed}, not {name[:60]!r}"


def _image_problem(name: str) -> str | None:
    return None if re.fullmatch(IMAGE_NAMES, name) else f"must be the name of an image, not {name[:60]!r}"


_SOURCE = Text("a path")
_IMAGE = Text("the name of an image", _image_problem, f"^{IMAGE_NAMES}$")
_PARTITION = Int(0, MAX_PARTITION)


class FleetBoard(Model):
    """A board of the fleet: either ``port`` or ``serial-number`` says which one."""

    port: str | None = key(
        Text("a port"), "The name or URL of the port, such as `/dev/ttyACM0` or `socket://10.0.0.5:3333`.", default=None
    )
    serial_number: str | None = key(
        Text("a serial number"), "The USB serial number of the board, or the beginning of it.", default=None
    )
    source: str | None = key(_SOURCE, "A project or an image file, if it is not that of the fleet.", default=None)
    image: str | None = key(_IMAGE, "Which image of a project that has several.", default=None)
    partition: int | None = key(_PARTITION, "The partition; by default that of the fleet.", default=None)


class _BoardTable(Table[FleetBoard]):
    """The table of a board, which needs exactly one way to reach it."""

    def read(self, raw: dict[str, object], place: Place, problems: Problems) -> FleetBoard:
        """Read the keys, and report a board that cannot be reached, or in two ways."""
        before = len(problems)
        board = super().read(raw, place, problems)
        if board is not INVALID:
            is_mistyped = len(problems) > before
            ways = sum(way is not None for way in (board.port, board.serial_number))
            if ways > 1:
                problems.append(Problem(board.place, "has both `port` and `serial-number`"))
            elif not ways and not is_mistyped:
                problems.append(Problem(board.place, "needs `port` or `serial-number`"))
        return board


class Fleet(Model):
    """The file of a fleet: defaults, and its boards by name."""

    boards: dict[str, FleetBoard] = key(
        TableOf(_BoardTable(FleetBoard), _name_problem, "boards by name"), "The boards of the fleet, by name."
    )
    source: str = key(_SOURCE, "A project or an image file, relative to this file.", default=".")
    image: str | None = key(_IMAGE, "Which image of a project that has several.", default=None)
    partition: int | None = key(_PARTITION, "The partition; by default that of the project, or 0.", default=None)


class Assignment(NamedTuple):
    """What goes to a board of the fleet: ``port`` as ``--port`` takes it."""

    name: str
    port: str
    source: Path
    image: str | None
    partition: int | None


def read_fleet(path: Path) -> list[Assignment]:
    """Return what a fleet file says about each of its boards, in order. Raises SettingsError with every mistake."""
    if is_image(path):
        raise SettingsError(f"{path} is an image, and does not describe a fleet", hint=_ADVICE)
    document = load_toml(path)
    if document is None:
        raise SettingsError(f"{path} does not exist", hint=_ADVICE)
    problems: list[Problem] = []
    fleet = read(Table(Fleet), document, Place(), problems)
    if not problems:
        problems = [*_conflicts(fleet), *_missing_sources(path.parent, fleet)]
    if problems:
        raise SettingsError(problems, hint=f"Fix {path}.")
    return [_assign(path.parent, fleet, name, board) for name, board in fleet.boards.items()]


def fleet_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 7) of a fleet file."""
    heading = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:hatch-romfs:fleet",
        "title": "fleet.toml",
        "description": "Which image goes to which board.",
    }
    return heading | Table(Fleet).schema()


def _conflicts(fleet: Fleet) -> list[Problem]:
    """Return what is wrong among the boards: each needs a port that no other board has."""
    problems = [] if fleet.boards else [Problem("boards", "contains no boards")]
    owners: dict[str, str] = {}
    for name, board in fleet.boards.items():
        attribute = "port" if board.serial_number is None else "serial_number"
        if (other := owners.setdefault(_port(board), name)) != name:
            problems.append(Problem(board.where(attribute), f"is also that of {fleet.boards[other].place}"))
    return problems


def _missing_sources(folder: Path, fleet: Fleet) -> list[Problem]:
    """Return the sources that do not exist; that of the fleet counts only if a board needs it."""
    own = [(board.where("source"), board.source) for board in fleet.boards.values() if board.source is not None]
    shared = [(fleet.where("source"), fleet.source)] if len(own) < len(fleet.boards) else []
    return [
        Problem(where, f"{folder / source} does not exist")
        for where, source in (*shared, *own)
        if not (folder / source).exists()
    ]


def _port(board: FleetBoard) -> str:
    return board.port or f"id:{board.serial_number}"


def _assign(folder: Path, fleet: Fleet, name: str, board: FleetBoard) -> Assignment:
    """Add the defaults of the fleet; its image and partition belong to its source, not to another one."""
    own = board.source is not None
    image = board.image if own or board.image is not None else fleet.image
    partition = board.partition if own or board.partition is not None else fleet.partition
    return Assignment(name, _port(board), folder / (board.source or fleet.source), image, partition)
