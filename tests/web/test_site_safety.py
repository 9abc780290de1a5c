"""What the page must not do, or not with files or browsers that are not as they should be."""

import subprocess
from pathlib import Path

import pytest

from tests import judges
from tests.web.pages import CONNECT, FLASH, wait_ready

pytestmark = pytest.mark.xdist_group("web")


def test_nothing_leaves_the_machine(maker_site, browser, app):
    """With its own policy, and every request elsewhere blocked, the page loads; afterwards it cannot send anything."""
    context = browser.new_context()
    page = context.new_page()
    sent: list[str] = []
    blocked: list[str] = []
    problems: list[str] = []

    def pass_on(route):
        """Let through what the site itself serves; what the page's policy refuses never comes here."""
        is_ours = route.request.url.startswith(maker_site[1])
        (sent if is_ours else blocked).append(route.request.url)
        route.continue_() if is_ours else route.abort()

    context.route("**/*", pass_on)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(maker_site[1])
    wait_ready(page)
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    assert blocked == problems == []
    assert any(url.endswith("pyodide.asm.wasm") for url in sent)
    sent.clear()
    for attempt in (
        "fetch('./index.html')",
        "fetch('https://example.com/')",
        "new Promise((done, fail) => Object.assign(new WebSocket('ws://127.0.0.1:9'), {onopen: done, onerror: fail}))",
        "new Promise((done, fail) => Object.assign(new Image(), {onload: done, onerror: fail, src: 'https://a.bc/'}))",
        "import('https://example.com/x.js')",
        "import('./main.js?x')",
    ):
        assert page.evaluate(f"{attempt}.then(() => 'sent', () => 'refused')") == "refused"
    page.evaluate("navigator.sendBeacon('https://example.com/', 'x')")
    page.wait_for_timeout(200)
    assert sent == blocked == []
    context.close()


@pytest.mark.parametrize("missing", ["delete Navigator.prototype.serial", "delete WebAssembly.Suspending"])
def test_a_browser_that_cannot_connect_is_told_which_one_can(missing, maker_site, browser):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(missing)
    page.goto(maker_site[1])
    wait_ready(page)
    assert "Use Chrome or Edge 137 or later" in page.inner_text("#notice")
    assert page.is_disabled(CONNECT)
    assert page.is_disabled(FLASH)
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    context.close()


@pytest.mark.parametrize(
    "what", ["python-*.zip", "images/app.romfs", "pyodide/python_stdlib.zip", "pyodide/pyodide.asm.mjs"]
)
def test_a_file_that_was_changed_is_not_used(what, make_site, app, browser):
    out, url = make_site(f"changed-{Path(what).name[:7]}", app)
    (path,) = out.glob(what)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator(".result.failed").wait_for()
    assert "Reload the page." in page.inner_text(".result.failed")
    assert page.is_disabled(CONNECT)
    context.close()


def test_the_scripts_of_the_page_have_sound_types(maker_site):
    types = judges.npm_package("@types/w3c-web-serial")
    tsc = judges.npm_package("typescript") / "bin" / "tsc"
    options = (
        "--ignoreConfig --noEmit --allowJs --strict --target es2022 --module es2022 --moduleResolution bundler"
        " --lib es2022,dom,dom.iterable"
    )
    typing = ("--typeRoots", types.parent, "--types", types.name)
    done = subprocess.run(
        [judges.command("node"), tsc, *options.split(), *typing, maker_site[0] / "main.js"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0
    assert all(path.read_text().startswith("// @ts-check\n") for path in maker_site[0].glob("*.js"))
