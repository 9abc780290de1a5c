"""The page as people use it: a real browser, real Python, and simulated boards behind a stand-in for Web Serial."""

import subprocess
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from hatch_romfs import build
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.boards import held, image_bytes, put
from tests.commands import romfs_image
from tests.projects import make_project
from tests.trees import tree
from tests.web.bridge import wait_until
from tests.web.site import served

pytestmark = pytest.mark.xdist_group("web")
WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 360, "height": 740}
SIZE = 256 << 10
CONNECT, SAVE = "#board button >> nth=0", "#board button >> nth=1"
FLASH, COMPARE = "#flash button >> nth=0", "#flash button >> nth=1"
HOSTILE = "<img src=x onerror=alert(1)>" + "long" * 20


def image_of(files, name="other", version="0.9"):
    return b"".join(image_chunks(lay_out(tree(files), metadata=Metadata(name, version))))


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
            board = stack.enter_context(SimulatedBoard(SimOptions(**{"size": SIZE} | options)))
            plug = bridge.plug_in(board)
            stack.callback(plug.unplug)
            return board, plug

        yield run


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


def wait_ready(page):
    page.locator("#loading").wait_for(state="hidden")


def connect(page):
    wait_ready(page)
    page.click(CONNECT)
    page.locator("#board .terms").wait_for()


def result(page, action=None):
    """Wait for the end of what was begun, and return what the page says of it."""
    if action:
        page.click(action)
    page.locator("#flash .result").wait_for()
    return page.inner_text("#flash .result").split("\n\n")


@pytest.fixture
def open_maker_page(maker_site, new_page, check_access):
    """Return what opens the page; it must end without a dialog of the browser, which hostile names could open."""
    dialogs: list[str] = []

    def note(dialog):
        dialogs.append(dialog.message)
        dialog.dismiss()

    def run(**options):
        page = new_page(maker_site[1], **options)
        page.on("dialog", note)
        wait_ready(page)
        check_access(page)
        return page

    yield run
    assert dialogs == []


@pytest.mark.parametrize("look", [(PHONE, "dark"), (WIDE, "light")], ids=["phone", "wide"])
def test_from_the_first_look_to_the_image_on_the_board(look, open_maker_page, app, plug_in, check_access, tmp_path):  # noqa: PLR0917
    page = open_maker_page(viewport=look[0], color_scheme=look[1])
    assert page.inner_text("h1") == "Flash a board"
    assert page.inner_text("#maker") == "Acme"
    assert page.inner_text("#text") == "Flash your camera.\nIt takes a minute."
    assert page.get_attribute("#links a", "href") == "https://acme.example/"
    assert page.inner_text("#image .option >> nth=1") == "tool 2.0\ntööl 2.romfs, 180 bytes"
    assert page.is_disabled(FLASH)
    # The board has an image of somebody else, whose names are hostile.
    old = image_of({f"{HOSTILE}/{number}.py": b"x = 1\n" for number in range(20)}, f"<b>{HOSTILE}")
    board, _ = plug_in(file=put(tmp_path / "flash.bin", old.ljust(SIZE, b"\xff")))
    before = held(board)
    connect(page)
    assert f"<b>{HOSTILE} 0.9" in page.inner_text("#board")
    check_access(page)
    page.click(FLASH)
    page.locator("dialog[open]").wait_for()
    assert page.locator("dialog li").count() == 21
    assert f"{HOSTILE}/0.py" in page.inner_text("dialog")
    check_access(page)
    page.keyboard.press("Escape")
    assert result(page) == ["partition 0 was not changed"]
    assert held(board) == before
    check_access(page)
    page.click(FLASH)
    page.click("dialog button[value=yes]")
    title, summary = result(page)
    assert title == "app 1.0 is on the board."
    assert "60,000 bytes verified, 60,000 of them written" in summary
    assert summary.endswith("mounted at /rom")
    assert held(board)[:60_000] == app.read_bytes()
    check_access(page)
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    check_access(page)
    assert page.locator("main img").count() == 0


def test_a_cancel_and_a_pulled_cable_end_as_on_the_command_line(open_maker_page, app, plug_in, check_access):
    page = open_maker_page(viewport=PHONE)
    board, plug = plug_in(baud=400_000)
    connect(page)
    page.click(FLASH)
    sent = plug.sent
    wait_until(lambda: plug.sent > sent + 20_000)
    check_access(page)
    page.click(".progress button")
    assert result(page)[0] == "interrupted: partition 0 holds no image now; try again to finish"
    assert "Unknown since the write did not complete." in page.inner_text("#board")
    check_access(page)
    sent = plug.sent
    page.click(FLASH)
    wait_until(lambda: plug.sent > sent + 20_000)
    plug.unplug()
    message, hint = result(page)
    assert message.startswith("the port of USB device 2e8a:0005: the link was lost: The device has been lost, while ")
    assert hint == "Check the cable, and try again.\nPartition 0 holds no image now."
    check_access(page)
    plug.plug_in()
    page.wait_for_timeout(200)
    assert result(page, FLASH)[0] == "app 1.0 is on the board."
    assert held(board)[:60_000] == app.read_bytes()
    assert not board.violations


def test_the_image_of_a_board_is_compared_and_saved(open_maker_page, app, plug_in):
    page = open_maker_page()
    board, _ = plug_in()
    connect(page)
    assert page.is_disabled(SAVE)
    assert "blocks differ from app.romfs" in result(page, COMPARE)[0]
    assert result(page, FLASH)[0] == "app 1.0 is on the board."
    assert result(page, COMPARE)[0] == "The board holds this image."
    with page.expect_download() as saved:
        page.click(SAVE)
    assert saved.value.suggested_filename == "app-1.0.romfs"
    assert Path(saved.value.path()).read_bytes() == app.read_bytes() == held(board)[:60_000]


def test_the_workbench_opens_images_wheels_and_folders(workbench, app, new_page, check_access, tmp_path):
    page = new_page(workbench[1])
    page.locator(".drop").wait_for()
    check_access(page)
    files = {"main.py": "print(1)\n", "lib/a b/ü.txt": "hi\n", ".git/config": "x", "e/x": ""}
    root = make_project(tmp_path / "my app", files)
    page.set_input_files("#folder", root)
    page.locator("#image summary").wait_for()
    native = build(root, tmp_path / "native.romfs", overrides={"mpy": False})
    assert native.sha256 in page.inner_text("#image"), "the same bytes as on the command line"
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    with page.expect_download() as saved:
        page.click("#image details button >> nth=0")
    with zipfile.ZipFile(saved.value.path()) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert found == {"main.py": b"print(1)\n", "lib/a b/ü.txt": b"hi\n", "e/x": b""}
    wheel = tmp_path / "app-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(app, "app/one.romfs")
    page.set_input_files("#file", wheel)
    page.locator("text=app 1.0").wait_for()
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("app/two.romfs", image_of({"a.py": b""}, "two", "2"))
    page.dispatch_event("#file", "click")  # as the button does
    page.set_input_files("#file", wheel)
    page.click("text=app/two.romfs")
    page.locator("text=two 2").wait_for()
    check_access(page)
    for name, data in (("<b>.romfs", app.read_bytes()[:-1]), ("b.whl", wheel.read_bytes()[:-30])):
        page.set_input_files("#file", put(tmp_path / name, data))
        page.locator(f"#image .result.failed:has-text('{name}: ')").wait_for()
    assert page.inner_text("#flash .reason") == "Choose an image first."
    check_access(page)


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
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    context.close()


def test_the_page_is_not_closed_by_accident_while_it_writes(maker_site, new_page, plug_in, app):
    page = new_page(maker_site[1])
    board, plug = plug_in(baud=200_000)
    connect(page)
    page.click(FLASH)
    wait_until(lambda: plug.sent > 20_000)
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    page.locator("#flash .result").wait_for()
    assert held(board)[:60_000] == app.read_bytes()
    with page.expect_event("close"):
        page.close(run_before_unload=True)


def test_the_keyboard_and_a_screen_reader_are_enough(maker_site, new_page, bridge, plug_in, app):
    page = new_page(maker_site[1])
    wait_ready(page)
    page.evaluate(
        """() => {
            globalThis.said = [];
            new MutationObserver(() => said.push(document.querySelector("#flash > .body > [role=status]").textContent))
                .observe(document.querySelector("#flash > .body > [role=status]"), { childList: true });
        }"""
    )
    board, _ = plug_in()
    bridge.choice = None
    page.focus(CONNECT)
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.locator("#board .result").count() == 0, "to close the dialog of the browser is no error"
    bridge.choice = bridge.plugs[-1]
    page.keyboard.press("Enter")
    page.locator("#board .terms").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Flash":
            break
    page.keyboard.press("Enter")
    page.locator("#flash .result").wait_for()
    assert page.evaluate("document.activeElement.contains(document.querySelector('#flash .result'))")
    assert held(board)[:60_000] == app.read_bytes()
    said = [text for text in page.evaluate("said") if text]
    assert said[0] == "Preparing…"
    assert "Writing…" in said
    assert len(said) < 8, "each phase, not every step of it"


def test_a_board_that_is_unplugged_is_forgotten(maker_site, new_page, plug_in):
    page = new_page(maker_site[1])
    _, plug = plug_in()
    connect(page)
    plug.unplug()
    page.locator("text=The board was unplugged.").wait_for()
    assert page.inner_text("#flash .reason") == "Connect a board first."
    assert page.is_disabled(FLASH)


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
    declarations = judges.REPO / "hatch_romfs" / "web" / "serial.d.ts"
    language = "--target es2022 --module es2022 --moduleResolution bundler --lib es2022,dom,dom.iterable --types "
    tsc = judges.npm_package("typescript") / "bin" / "tsc"
    done = subprocess.run(
        [
            judges.command("node"),
            tsc,
            "--noEmit",
            "--allowJs",
            "--strict",
            *language.split(" "),
            declarations,
            maker_site[0] / "main.js",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0
    assert all(path.read_text().startswith("// @ts-check\n") for path in maker_site[0].glob("*.js"))
