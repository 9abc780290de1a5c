"""A real browser, pages for it, and the bridge that connects these to simulated boards."""

import json
from contextlib import ExitStack

import pytest

from hatch_romfs.board import link, repl
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.boards import image_bytes, put
from tests.commands import romfs_image
from tests.web.bridge import Bridge
from tests.web.pages import image_of
from tests.web.site import served

STAND_IN = judges.REPO / "tests" / "web" / "serial_stand_in.js"
TIMEOUT = 60_000
"""Milliseconds that a page may take for anything."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Shorten the silence after which an interrupted program counts as over: every session waits for it."""
    monkeypatch.setattr(repl, "QUIET", 0.02)
    monkeypatch.setattr(link, "SLICE", 0.01)


@pytest.fixture(scope="module")
def browser():
    executable = judges.command("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def bridge():
    started = Bridge()
    yield started
    started.close()


@pytest.fixture(scope="module")
def new_page(browser, bridge):
    """Return what opens a page whose ``navigator.serial`` leads to the bridge; in a context of its own, as a user's.

    The page's own Content-Security-Policy would refuse the bridge, so it is off; it is tested elsewhere.
    """
    contexts = []

    def open_page(url, **options):
        context = browser.new_context(bypass_csp=True, **options)
        contexts.append(context)
        context.add_init_script(f"globalThis.serialBridge = {json.dumps(bridge.url)};\n{STAND_IN.read_text()}")
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def check_access():
    """Return what lets axe look at a page, in which it must find no violation; nothing may overflow either."""
    script = (judges.npm_package("axe-core") / "axe.min.js").read_text(encoding="utf-8")

    def check(page):
        page.evaluate(script)
        found = page.evaluate("axe.run().then(({violations}) => violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]

    return check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def make_site(folder):
    """Return what writes a page that needs no network, and serves it; each page has a name."""
    with ExitStack() as stack:

        def run(name, *arguments):
            out = folder / name
            romfs_image("page", *arguments, "-o", out, "--bundle", judges.npm_package("pyodide"), "-q")
            return out, stack.enter_context(served(out))

        yield run


@pytest.fixture(scope="module")
def app(folder):
    return put(folder / "app.romfs", image_bytes(60_000))


@pytest.fixture(scope="module")
def maker_site(make_site, app, folder):
    tool = put(folder / "tööl 2.romfs", image_of({"tool.py": b"x = 1\n"}, "tool", "2.0"))
    texts = (
        "--maker",
        "Acme",
        "--text",
        "Flash your camera.\nIt takes a minute.",
        "--link",
        "Help=https://acme.example/",
    )
    return make_site("maker", app, tool, *texts)


@pytest.fixture(scope="module")
def workbench(make_site):
    return make_site("workbench")


@pytest.fixture
def plug_in(bridge):
    """Return what plugs a board in, which is then the user's choice; it is unplugged at the end."""
    with ExitStack() as stack:

        def run(**options):
            board = stack.enter_context(SimulatedBoard(SimOptions(**{"size": 256 << 10} | options)))
            plug = bridge.plug_in(board)
            stack.callback(plug.unplug)
            return board, plug

        yield run
