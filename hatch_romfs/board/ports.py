"""Which serial ports there are, and which of them is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import LinkError, PortUnavailableError, RomfsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_ID = "id:"
_ADAPTERS = {
    0x0403: "FTDI",
    0x067B: "Prolific",
    0x10C4: "Silicon Labs",
    0x1A86: "WCH",
}
"""USB vendors of serial adapters. One can be part of a board, as on many with an ESP32, or be a cable to anything."""

_BOARD_VENDORS = frozenset({0xF055, 0x2E8A, 0x37C5, 0x2341, 0x303A, 0x239A, 0x1B4F, 0x2886, 0x1FFB})
"""USB vendors of boards: MicroPython, Raspberry Pi, OpenMV, Arduino, Espressif, Adafruit, SparkFun, Seeed, Pololu.

These are the values of ``MICROPY_HW_USB_VID`` in MicroPython's repository, without those that unrelated vendors share.
"""


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port: the name to open it by, what the system says of it, and its USB serial number, if any.

    ``usb_id`` is ``VID:PID`` in lower-case hexadecimal, such as ``2e8a:0005``, and "" if it is not a USB port.
    ``adapter`` is the vendor of a USB serial adapter: what is behind it is unknown until it answers.
    """

    name: str
    description: str = ""
    serial_number: str | None = None
    usb: bool = False
    usb_id: str = ""
    adapter: str | None = None

    def __str__(self) -> str:
        by_id = f", --port {_BY_ID}{self.serial_number}" if self.serial_number else ""
        kind = " (USB serial adapter)" if self.adapter else ""
        return f"--port {self.name}{by_id}  {self.description}{kind}"


def is_known_board(port: Port) -> bool:
    """Tell whether the USB vendor of a port makes MicroPython boards, so that one is expected to answer there."""
    return bool(port.usb_id) and int(port.usb_id[:4], 16) in _BOARD_VENDORS


def list_ports() -> list[Port]:
    """Return the ports of this machine, in order of name. Raises LinkError where the system cannot list them."""
    try:
        from serial.tools.list_ports import comports  # noqa: PLC0415 - raises ImportError on some systems
    except ImportError:
        raise LinkError("the serial ports of this system cannot be listed", hint="Name one with --port.") from None
    found = [
        Port(
            port.device,
            port.description or "",
            port.serial_number,
            usb=port.vid is not None,
            adapter=_ADAPTERS.get(port.vid),
            usb_id=_usb_id(port),
        )
        for port in comports()
    ]
    return sorted(found, key=lambda port: _sort_key(port.name))


def _sort_key(name: str) -> list[tuple[str, int]]:
    """Return what sorts names by their numbers: COM9 comes before COM10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", name)]


def _usb_id(port: Any) -> str:  # noqa: ANN401 - pyserial has no types
    return "" if port.vid is None else f"{port.vid:04x}:{port.pid or 0:04x}"


def choose_port(asked: str | None, origin: str = "") -> Port:
    """Return the port that is meant: by name or URL, by ``id:SERIAL`` or a unique prefix of that, or the only USB port.

    ``origin`` says in messages where ``asked`` comes from. Raises SettingsError for an empty name, and LinkError unless
    exactly one port is meant: nothing is ever written to a board that was guessed. PortUnavailableError means that
    there is none yet.
    """
    source = f" (from {origin})" if origin else ""
    if asked is None:
        return _only([port for port in list_ports() if port.usb], "no board was found")
    if asked.startswith(_BY_ID) and (serial_number := asked[len(_BY_ID) :]):
        return _by_serial_number(serial_number, source)
    if asked in ("", _BY_ID):
        raise SettingsError(
            f"--port {asked!r}: the {'serial number' if asked else 'name of the port'} is missing",
            hint="'romfs-flash --list-ports' shows every port.",
        )
    return _by_name(asked)


def find_port(asked: str) -> Port:
    """Return what is known about a port now: nothing but its name if it cannot be found."""
    try:
        return choose_port(asked)
    except RomfsError:
        return Port(asked)


def _by_name(name: str) -> Port:
    """Return a port by its name, with its serial number where it has one: that finds it again under another name."""
    if ":/" in name or name.startswith("sim:"):
        return Port(name)
    try:
        ports = list_ports()
    except LinkError:
        return Port(name)
    return next((port for port in ports if port.name == name), Port(name))


def _by_serial_number(asked: str, source: str) -> Port:
    ports = [port for port in list_ports() if port.serial_number]
    found = [port for port in ports if port.serial_number == asked]
    found = found or [port for port in ports if (port.serial_number or "").startswith(asked)]
    if len({port.serial_number for port in found}) > 1:
        raise LinkError(
            [f"more than one serial number starts with {asked!r}{source}:", *(f"  {port}" for port in found)],
            hint="Write more of it.",
        )
    return _only(found, f"no board has the serial number {asked!r}{source}")


def _only(found: list[Port], missing: str) -> Port:
    if len(found) == 1:
        return found[0]
    if not found:
        raise PortUnavailableError(
            missing,
            hint="Is it plugged in? 'romfs-flash --list-ports' shows every port; name one with --port,"
            " or wait for the board with --wait.",
        )
    hint = "Name one of them with --port."
    if any(port.adapter for port in found):
        hint += " An adapter can be part of a board, such as one with an ESP32, or a cable to something else."
    raise LinkError([f"{_count(found)} could be meant:", *(f"  {port}" for port in found)], hint=hint)


def _count(found: list[Port]) -> str:
    """Return how many boards there are, and how many adapters that may lead to one, in words."""
    adapters = sum(port.adapter is not None for port in found)
    counts = ((len(found) - adapters, "board"), (adapters, "USB serial adapter"))
    return " and ".join(f"{number} {noun}{'s' if number > 1 else ''}" for number, noun in counts if number)


def follow(port: Port) -> Callable[[], str]:
    """Return a function that finds a port after it was lost: by its serial number, or else by its name.

    A board can come back under another name, and another board can have taken the name. The function raises
    PortUnavailableError while the board is away.
    """
    if port.serial_number is None:
        return lambda: port.name
    before = _names(port.serial_number)  # a board can have several ports with one serial number

    def find() -> str:
        now = _names(port.serial_number)
        if port.name in now:
            return port.name
        if len(now) != len(before) or port.name not in before:
            raise PortUnavailableError(f"no board has the serial number {port.serial_number!r}")
        return now[before.index(port.name)]

    return find


def _names(serial_number: str | None) -> list[str]:
    return [port.name for port in list_ports() if port.serial_number == serial_number]
