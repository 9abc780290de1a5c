"""A real browser, and the bridge that connects its pages to simulated boards."""

import json

import pytest

from hatch_romfs.board import link, repl
from tests import judges
from tests.web.bridge import Bridge

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
