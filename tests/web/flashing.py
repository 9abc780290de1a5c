"""Flashing by the page's code and by the Python API, of equal boards, told in the same words."""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_romfs import flash
from hatch_romfs.board import repl
from hatch_romfs.board.messages import describe_replacement, flash_summary
from hatch_romfs.errors import RomfsError
from hatch_romfs.settings.subtables import Page
from hatch_romfs.web import pinned
from hatch_romfs.web.app import page_hint, page_text
from hatch_romfs.web.page import make_page
from tests import judges
from tests.web.pages import Page as Index

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.events import Progress
    from hatch_romfs.sim.board import SimulatedBoard

HARNESS = Path(__file__).parent / "code_harness.html"
QUICK = """
from hatch_romfs.board import flashed, link, repl
repl.QUIET, repl.PASTE_TIMEOUT = 0.02, {paste!r}
link.SLICE, flashed.FOLDER = 0.01, {folder!r}
"""
"""What the tests of boards change too: see tests/board/conftest.py."""
PORT = "the port of USB device 2e8a:0005"


def write_site(folder: Path) -> Path:
    """Write the page with Pyodide into a folder, and beside it the harness that has only its code."""
    pyodide = pinned.read_pyodide(judges.npm_package("pyodide"))
    for path, data in make_page([], Page(), pyodide).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    settings = json.dumps(Index(folder).settings)
    (folder / "harness.html").write_text(HARNESS.read_text(encoding="utf-8").replace("@SETTINGS@", settings))
    return folder


class Tab:
    """A page that runs the harness: its methods return what the page's code returns."""

    def __init__(self, page: Any, bridge: Any) -> None:
        self.page, self._bridge = page, bridge
        page.wait_for_function("globalThis.isReady")

    def prepare(self, folder: str, paste: float = repl.PASTE_TIMEOUT) -> None:
        """Let boards answer at once, and let no test know what another one has flashed; ``paste`` is in seconds."""
        self.page.evaluate("code => execute(code)", QUICK.format(folder=folder, paste=paste))

    def plug_in(self, board: SimulatedBoard) -> Any:
        """Plug a board in, and choose it."""
        plug = self._bridge.plug_in(board)
        self.choose()
        return plug

    def choose(self) -> None:
        """Choose the board that was plugged in last."""
        assert self.page.evaluate("choose()") == PORT

    def unplug(self, plug: Any) -> None:
        """Take a board away for good."""
        self._bridge.remove(plug)

    def open(self, image: Path) -> int:
        """Open an image, and return its number."""
        found = self.page.evaluate(
            "([data, name]) => openFile(data, name)", [base64.b64encode(image.read_bytes()).decode(), image.name]
        )
        return int(found["document"]["number"])

    def flash(self, image: Path, cancel: tuple[str, int] | None = None) -> dict[str, Any]:
        """Flash an image, and cancel when so much of a phase is done."""
        found: dict[str, Any] = self.page.evaluate("options => flash(options)", _options(self.open(image), cancel))
        return found

    def start(self, image: Path) -> None:
        """Start to flash an image."""
        self.page.evaluate("options => startFlash(options)", _options(self.open(image), None))


def _options(number: int, cancel: tuple[str, int] | None) -> dict[str, Any]:
    return {"number": number} | ({"cancel": {"phase": cancel[0], "done": cancel[1]}} if cancel else {})


def flash_natively(board: SimulatedBoard, image: Path, cancel: tuple[str, int] | None = None) -> dict[str, Any]:
    """Flash as the command line does, and return what the page's code must return."""
    progress: list[Any] = []
    replaced: list[str] = []
    result = _outcome(
        partial(
            flash,
            image,
            board.port,
            name=image.name,
            on_event=lambda event: _report(event, progress, cancel),
            on_replace=lambda found: replaced.extend(describe_replacement(found, verbose=True)),
        ),
        board.port,
    )
    return {**result, "progress": progress, "replaced": replaced, "messages": []}


def _report(event: Progress, progress: list[Any], cancel: tuple[str, int] | None) -> None:
    progress.append([event.phase, event.done, event.total, event.unit])
    if cancel and event.phase == cancel[0] and event.done >= cancel[1]:
        raise KeyboardInterrupt


def _outcome(work: Callable[[], Any], port: str) -> dict[str, Any]:
    try:
        done = work()
    except RomfsError as error:
        hint = page_hint(error)
        assert hint is None or ("--" not in hint and "romfs-" not in hint)
        return {"message": error.message.replace(port, PORT), "hint": hint, "status": error.status}
    except KeyboardInterrupt as error:
        message = ": ".join(filter(None, ("interrupted", page_text(str(error)))))
        return {"message": message, "hint": None, "status": 130}
    return {
        "document": {
            "summary": flash_summary(done),
            "size": done.size,
            "written": done.plan.writes,
            "copied": done.copied,
            "sent": done.sent,
            "received": done.received,
            "mounted": done.mounted,
        }
    }
