"""A bench where boards are plugged in and unplugged: find the ports of new boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hatch_romfs.board.ports import Port

UNPLUGGED: Final = 3.0
"""Seconds without its port after which a board counts as unplugged: a reset makes a port disappear for a moment."""


def identity(port: Port) -> str:
    """Return what identifies a board: its serial number, or else the name of its port."""
    return port.serial_number or port.name


class Bench:
    """Keeps track of connected boards. Those that are ``present`` at the beginning are never new."""

    def __init__(self, present: Iterable[Port], at: float) -> None:
        self._seen = {identity(port): at for port in present}

    def update(self, ports: Iterable[Port], at: float, busy: Collection[str] = ()) -> list[Port]:
        """Return the ports of boards that are new at the time ``at``, in seconds.

        ``busy`` are the boards that are being written or reset now; they cannot be new.
        """
        new = []
        for port in ports:
            board = identity(port)
            if board not in self._seen or at - self._seen[board] > UNPLUGGED:
                new.append(port)
            self._seen[board] = at
        self._seen.update(dict.fromkeys(busy, at))
        return new
