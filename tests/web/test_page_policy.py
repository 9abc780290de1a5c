"""The policy of the page in a real browser: what it loads from another host is exactly what is pinned."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hatch_romfs.settings.subtables import Page
from hatch_romfs.web import pinned
from hatch_romfs.web.folder import replace_page
from hatch_romfs.web.page import make_page
from tests import judges
from tests.projects import make_project

pytestmark = pytest.mark.xdist_group("browser")

FAKE = {
    "pyodide.mjs": b"export const load = () => import('./pyodide.asm.mjs');\n",
    "pyodide.asm.mjs": b"export const value = 'loaded';\n",
    "pyodide.asm.wasm": b"\0asm\1\0\0\0",
    "python_stdlib.zip": b"PK",
}
PROBE = b"""\
const { pyodide } = JSON.parse(document.getElementById("settings").textContent);
const base = new URL(pyodide.url, document.baseURI).href;
const attempt = async (what) => { try { return String(await what()); } catch (error) { return error.name; } };
const load = async () => (await (await import(base + "pyodide.mjs")).load()).value;
const get = async (url) => (await fetch(url)).status;
globalThis.found = await Promise.all([
  attempt(load),
  attempt(() => get(base + "pyodide.asm.wasm")),
  attempt(() => get(base + "python_stdlib.zip")),
  attempt(() => get(base + "other.zip")),
  attempt(() => import(base + "other.mjs")),
  attempt(() => new Function("return 1")()),
  attempt(() => new Promise((done, fail) => {
    const image = new Image();
    [image.onload, image.onerror] = [() => done("shown"), () => fail(new TypeError())];
    image.src = base + "image.png";
  })),
]);
document.body.dataset.done = "yes";
"""
LOADED = ["loaded", "200", "200"]
REFUSED = ["TypeError", "TypeError", "EvalError", "TypeError"]


class Handler(SimpleHTTPRequestHandler):
    """Serves files to any origin, as a CDN does, and notes what was asked for."""

    def __init__(self, *arguments, asked, **options):
        self.asked = asked
        super().__init__(*arguments, **options)

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_request(self, *_):
        self.asked.append(self.path)


@contextmanager
def served(folder):
    """Serve a folder; yields its URL and the list of what was asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder, asked=asked))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    executable = judges.command("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def probe(browser, tmp_path, monkeypatch):
    """Return what opens a page whose script tries what it may not do.

    It returns what came of each attempt, and what the host of Pyodide was asked for.
    """
    pins = {name: pinned.PinnedFile(len(data), pinned.integrity(data)) for name, data in FAKE.items()}
    monkeypatch.setattr(pinned, "FILES", pins)
    other = {"other.zip": b"PK", "other.mjs": b"", "image.png": b""}

    def run(changed, *, bundled):
        at = "npm/pyodide@314.0.8/"
        make_project(tmp_path / "cdn" / at, {**FAKE, **other, **changed})
        with served(tmp_path / "cdn") as (cdn, asked), served(tmp_path / "site") as (site, own):
            monkeypatch.setattr(pinned, "URL", f"{cdn}{at}")
            content = make_page([], Page(), {**FAKE, **changed} if bundled else None)
            replace_page(tmp_path / "site", {**content, "main.js": PROBE})
            context = browser.new_context()
            tab = context.new_page()
            tab.goto(site)
            tab.locator("body[data-done]").wait_for(state="attached", timeout=20_000)
            found = tab.evaluate("globalThis.found")
            context.close()
        return found, sorted({path.rpartition("/")[2] for path in (own if bundled else asked)})

    return run


def test_only_the_pinned_files_are_loaded_from_another_host(probe):
    found, asked = probe({}, bundled=False)
    assert found == [*LOADED, *REFUSED]
    assert set(asked) == FAKE.keys()


@pytest.mark.parametrize("name", pinned.MODULES)
@pytest.mark.parametrize("bundled", [False, True])
def test_a_module_that_was_changed_does_not_run(name, bundled, probe):
    changed = FAKE[name] + b"globalThis.stolen = 1;\n"
    found, _ = probe({name: changed}, bundled=bundled)
    assert found[0] == "TypeError"
    assert found[1:3] == LOADED[1:]


def test_a_bundle_is_loaded_from_the_page(probe):
    found, _ = probe({}, bundled=True)
    assert found[:3] == LOADED
    assert found[5] == "EvalError"
