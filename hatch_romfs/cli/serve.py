"""``romfs-flash --serve``: a simulated board for other programs, for as long as the command runs."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse


def serve(options: argparse.Namespace) -> None:
    """Start a simulated board, print its port, and keep it running until Ctrl-C.

    Raises SettingsError for a port that is not a simulated board, and RomfsError if the board stops by itself.
    """
    port = options.port or ""
    if not port.startswith("sim:"):
        raise SettingsError(
            f"--serve runs a simulated board, and {port!r} is not one" if port else "--serve needs a simulated board",
            hint="Name one, such as --port sim: or --port 'sim:rom.bin?port=rp2&baud=115200'.",
        )
    from hatch_romfs.sim.board import SimulatedBoard, parse_sim_url  # noqa: PLC0415 - only simulated boards need it

    with suppress(KeyboardInterrupt), SimulatedBoard(parse_sim_url(port)) as board:
        if options.json:
            print_json({"port": board.port})
        else:
            print_line(board.port)
        sys.stdout.flush()
        board.relay.join()
        board.relay.wait()
