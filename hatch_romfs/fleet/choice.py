"""Choose some of the connected boards with filters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.board.ports import is_known_board
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from hatch_romfs.board.ports import Port
    from hatch_romfs.fleet.messages import Found

_BY_ID = "id:"


class Filters(NamedTuple):
    """Conditions that a board must all meet: USB IDs, beginnings of serial numbers, and parts of machine names."""

    usb_ids: tuple[str, ...] = ()
    serial_numbers: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()


def parse_filters(texts: Sequence[str]) -> Filters:
    """Read filters: ``VID:PID``, ``id:SERIAL``, or a part of a machine name. Raises SettingsError."""
    usb_ids, serial_numbers, machines = [], [], []
    for text in texts:
        if text.strip() in ("", _BY_ID):
            raise SettingsError(f"--filter '{text}' is empty", hint="Use VID:PID, id:SERIAL, or a part of the name.")
        if text.startswith(_BY_ID):
            serial_numbers.append(text[len(_BY_ID) :])
        elif re.fullmatch("[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", text):
            usb_ids.append(text.lower())
        elif re.fullmatch("(0x)?[0-9a-fA-F]+:(0x)?[0-9a-fA-F]+", text):  # it would be part of no name
            raise SettingsError(
                f"--filter {text}: VID:PID are four hexadecimal digits each, such as 2e8a:0005",
                hint="'romfs-flash --list-ports' shows them.",
            )
        else:
            machines.append(text.casefold())
    return Filters(tuple(usb_ids), tuple(serial_numbers), tuple(machines))


def port_matches(port: Port, filters: Filters) -> bool:
    """Tell whether a port meets the conditions that can be checked before it is opened."""
    return all(port.usb_id == usb_id for usb_id in filters.usb_ids) and all(
        (port.serial_number or "").startswith(serial_number) for serial_number in filters.serial_numbers
    )


def is_expected(port: Port, filters: Filters) -> bool:
    """Tell whether a port that does not answer counts as a board: its vendor makes boards, or a filter names it.

    Other USB ports may belong to a modem, or to a serial adapter with anything behind it.
    """
    return bool(filters.usb_ids or filters.serial_numbers) or is_known_board(port)


def machine_matches(machine: str, parts: Sequence[str]) -> bool:
    """Tell whether the machine name that a board reports contains all of ``parts``, which are in lower case."""
    return all(part in machine.casefold() for part in parts)


def repeated_boards(boards: Iterable[tuple[int, Found]]) -> dict[int, int]:
    """Return the numbers of boards that already appeared at another port, each with the number that it had there.

    Some boards have several serial ports that all lead to their prompt.
    """
    first: dict[tuple[str, str | None], int] = {}
    repeated = {}
    for number, board in boards:
        if board.unique_id is None:
            continue
        identity = (board.unique_id, board.serial_number)
        if identity in first:
            repeated[number] = first[identity]
        else:
            first[identity] = number
    return repeated


def second_ports(ports: Sequence[Port], answered: Collection[int]) -> dict[int, int]:
    """Return the numbers of silent ports of boards that have another port, each with the number of that one.

    It is a port at which the board has answered, or else its first. Adapters do not count: many have the same number.
    """
    first: dict[str, int] = {}
    by_answer = sorted(range(len(ports)), key=lambda number: (number not in answered, number))
    owners = {
        number: first.setdefault(serial_number, number)
        for number in by_answer
        if (serial_number := ports[number].serial_number) and not ports[number].adapter
    }
    return {number: owner for number, owner in owners.items() if number not in answered and owner != number}
