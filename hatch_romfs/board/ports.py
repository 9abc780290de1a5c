"""Which serial ports there are, and which of them is meant."""

from __future__ import annotations

from dataclasses import dataclass

from serial.tools.list_ports import comports

from hatch_romfs.errors import LinkError


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port: the name to open it by, what the system says of it, and its USB serial number, if any."""

    name: str
    description: str
    serial_number: str | None
    usb: bool

    def __str__(self) -> str:
        by_id = f", --port id:{self.serial_number}" if self.serial_number else ""
        return f"--port {self.name}{by_id}  {self.description}"


def list_ports() -> list[Port]:
    """Return the ports of this machine, in order of name."""
    found = [
        Port(port.device, port.description or "", port.serial_number, usb=port.vid is not None) for port in comports()
    ]
    return sorted(found, key=lambda port: port.name)


def choose_port(asked: str | None) -> str:
    """Return the port that is meant: a name or URL as it is, ``id:SERIAL``, or for None the only USB port.

    Raises LinkError where that is none or more than one: nothing is ever written to a board that was guessed.
    """
    if asked is not None and not asked.startswith("id:"):
        return asked
    ports = list_ports()
    if asked is None:
        found = [port for port in ports if port.usb]
        missing = "no board was found"
    else:
        found = [port for port in ports if port.serial_number == asked[3:]]
        missing = f"no board has the serial number {asked[3:]!r}"
    if len(found) == 1:
        return found[0].name
    if not found:
        raise LinkError(
            missing, hint="Is it plugged in? 'romfs-flash --list-ports' shows every port; name one with --port."
        )
    listed = "\n".join(f"  {port}" for port in found)
    raise LinkError(f"{len(found)} boards could be meant:\n{listed}", hint="Name one of them with --port.")
