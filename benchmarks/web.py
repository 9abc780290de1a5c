"""The page beside the command line, in one run: from a click to the connected board, and to an image on it.

``make bench`` prints the table of ``benchmarks/README.md``. The page runs in Chromium with Pyodide, its bytes travel
through the tests' stand-in for Web Serial to the same kind of simulated board that romfs-flash writes to.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.build import Bench
from benchmarks.flash import LINES, flash, make_images, unknown_images
from tests.web.bridge import Bridge
from tests.web.flashing import Tab, write_site
from tests.web.site import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from benchmarks.flash import Line

STAND_IN = Path(__file__).parent.parent / "tests" / "web" / "serial_stand_in.js"
CONNECTED = 8.0
"""Seconds in which a board must be connected, with a warm cache."""
BOUND = 1.5
"""At most this part of the command line's time."""
REPEATS = 3
"""How often each time is measured; the median counts."""


@dataclass(frozen=True)
class Row:
    """A first flash over one line: seconds and bytes up the wire, by the page and by the command line."""

    line: str
    page: float
    command: float
    sent: int
    its: int

    @property
    def ratio(self) -> float:
        """The page's time as a part of the command line's."""
        return self.page / self.command


@contextmanager
def open_context(bridge: Bridge) -> Iterator[BrowserContext]:
    """Start a browser with an empty cache."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the tests' environment

    with sync_playwright() as started:
        executable = shutil.which("chromium")
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        context = browser.new_context(bypass_csp=True)
        context.set_default_timeout(120_000)
        script = STAND_IN.read_text(encoding="utf-8")
        context.add_init_script(f"globalThis.serialBridge = {json.dumps(bridge.url)};\n{script}")
        yield context
        browser.close()


class PageBench:
    """The page with its code alone, in a browser."""

    def __init__(self, context: BrowserContext, bridge: Bridge, url: str) -> None:
        self._page, self._bridge, self._url = context.new_page(), bridge, url

    def connect(self, line: Line) -> float:
        """Return the seconds from a click on a link to the page to what the board is and has."""
        with line.board() as board:
            plug = self._bridge.plug_in(board)
            started = time.perf_counter()
            self._page.goto(self._url)
            Tab(self._page, self._bridge).choose()
            found = self._page.evaluate("connect()")
            seconds = time.perf_counter() - started
            self._bridge.remove(plug)
        if "partitions" not in found.get("document", {}):
            raise RuntimeError(found)
        return seconds

    def flash(self, line: Line, image: Path) -> tuple[float, int]:
        """Return the seconds of a first flash, and the bytes that it sends."""
        with line.board() as board:
            self._page.goto(self._url)
            tab = Tab(self._page, self._bridge)
            plug = tab.plug_in(board)
            started = time.perf_counter()
            done = tab.flash(image)
            seconds = time.perf_counter() - started
            tab.unplug(plug)
            if not board.file.read_bytes().startswith(image.read_bytes()) or board.relay.up.dropped:
                raise RuntimeError(done)
            return seconds, board.relay.up.sent


def measure(folder: Path) -> tuple[list[float], list[Row]]:
    """Return the seconds to a connected board, first with a cold cache and then warm, and the rows."""
    bench = Bench(folder)
    image = make_images(folder / "images")[1].image
    bridge = Bridge()
    with served(write_site(folder / "site")) as url, open_context(bridge) as context, unknown_images():
        page = PageBench(context, bridge, f"{url}harness.html")
        connected = [page.connect(LINES[0]) for _ in range(1 + REPEATS)]
        rows = [_compare(page, bench, line, image) for line in LINES]
    bridge.close()
    return connected, rows


def _compare(page: PageBench, bench: Bench, line: Line, image: Path) -> Row:
    ours, peers = [], []
    for _ in range(REPEATS):
        ours.append(page.flash(line, image))
        with line.board() as board:
            peers.append(flash(bench.scripts, board, image, line.baud))
    seconds = statistics.median_low(seconds for seconds, _ in ours)
    return Row(line.name, seconds, statistics.median_low(one.seconds for one in peers), ours[0][1], peers[0].sent)


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    heads = ("line", "page", "command line", "ratio", "at most", "bytes up", "its")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [
        f"| {row.line} | {row.page:.2f} s | {row.command:.2f} s | {row.ratio:.2f} | {BOUND} | {row.sent:,} |"
        f" {row.its:,} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print a table; with ``--json`` the numbers."""
    if shutil.which("chromium") is None or shutil.which("npm") is None:
        print("The page was not measured: chromium or npm is missing.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        (cold, *warm), rows = measure(Path(folder))
    if "--json" in sys.argv:
        print(json.dumps({"cold": cold, "warm": warm, "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}))
        return
    print(table(rows))
    connected = statistics.median_low(warm)
    print(f"\nfrom a click to the connected board: {connected:.2f} s of {CONNECTED} s; {cold:.2f} s with a cold cache")


if __name__ == "__main__":
    main()
