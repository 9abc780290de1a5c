"""Every state of the page as people see it: wide and narrow, light and dark, with documents in place of Python.

The documents are those of hatch_romfs.web.app. What Python and boards really do is tested in test_site.py.
"""

import json
from contextlib import ExitStack

import pytest

from hatch_romfs.settings.subtables import Page
from hatch_romfs.web.app import Page as App
from hatch_romfs.web.folder import replace_page
from hatch_romfs.web.page import PageImage, make_page
from tests import judges
from tests.web.pages import image_of
from tests.web.site import served

pytestmark = pytest.mark.xdist_group("web")
STAND_IN = judges.REPO / "tests" / "web" / "python_stand_in.js"
WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 360, "height": 740}
HOSTILE = "<img src=x onerror=alert(1)>" + "long" * 20
PORT = """
globalThis.port = Object.assign(new EventTarget(), { connected: true, getInfo: () => ({ usbVendorId: 0x2e8a }) });
const serial = { getPorts: async () => [port], requestPort: async () => port };
Object.defineProperty(Navigator.prototype, "serial", { value: Object.assign(new EventTarget(), serial) });
"""
FILES = {"main.py": b"import app\n", "lib/camera/driver.py": b"x" * 9000, "models/person.tflite": b"y" * 90_000}
EMPTY = {
    "number": 0, "size": 1 << 20, "block": 4096, "writable": True, "problem": "",
    "image_size": None, "name": None, "version": None, "files": None,
}  # fmt: skip
OLD = EMPTY | {"image_size": 9000, "name": "app", "version": "1.0", "files": [{"path": "main.py", "size": 11}]}
BOTH = [OLD, EMPTY | {"number": 1, "size": 8 << 20}, EMPTY | {"number": 2, "problem": "the header is damaged"}]
FOREIGN = OLD | {"name": HOSTILE, "files": [{"path": f"{HOSTILE}/{HOSTILE}{at}", "size": 1} for at in range(40)]}
QUESTION = ["partition 0: the image other 2.1 has 40 files that the new one does not have:", *[f"  {HOSTILE}"] * 40]
WRITING = [
    ["comparing", 0, 99_000, "bytes"],
    ["comparing", 99_000, 99_000, "bytes"],
    ["writing", 40_000, 99_000, "bytes"],
]
LOST = {"message": f"the port: the link was lost: {HOSTILE}", "hint": "Check the cable, and try again.", "status": 4}
CANCELED = {"message": "interrupted: partition 0 holds no image now", "hint": None, "status": 130}


def board(*partitions, **values):
    board = {"machine": "OpenMV N6 with STM32N657X0", "version": "1.27.0", "arch": "armv7emsp", "free": 4_101_888}
    return board | values | {"partitions": list(partitions)}


class _Bytes(bytes):
    def to_bytes(self):
        return bytes(self)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return what Python answers, by the names of methods; of images, what it really does."""
    app = App(str(tmp_path_factory.mktemp("images")))
    images = [
        ("images/app.romfs", "camera-app", "1.4"),
        ("images/demo.romfs", f"<b>{HOSTILE}", "0.3"),
        ("x.romfs", "x", None),
    ]
    opened = {
        name.rpartition("/")[2]: json.loads(app.call("open_file", _Bytes(image_of(FILES, *about)), name))
        for name, *about in images
    }
    return {
        "open_file": opened,
        "map": json.loads(app.call("map", 0, 1 << 20, 4096)),
        "connect": board(OLD),
        "flash": {"summary": "partition 0 of OpenMV: 99,000 bytes verified, 99,000 of them written, mounted at /rom"},
        "verify": {"summary": "partition 0 of OpenMV holds app.romfs"},
        "read": {"bytes": [1, 2, 3]},
    }


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Return the addresses of a page with one image, of one with two, and of a workbench."""
    folder = tmp_path_factory.mktemp("sites")
    one = PageImage("app.romfs", image_of(FILES, "camera-app", "1.4"), "camera-app", "1.4", 0)
    two = PageImage("demo.romfs", image_of(FILES, f"<b>{HOSTILE}", "0.3"), f"<b>{HOSTILE}", "0.3", 1)
    maker = Page(maker=HOSTILE, text=f"{HOSTILE}\nfor you", links={HOSTILE: "https://acme.example/"})
    with ExitStack() as stack:
        found = {}
        for name, page in (
            ("one", make_page([one], maker)),
            ("two", make_page([one, two], Page())),
            ("workbench", make_page([], Page())),
        ):
            replace_page(folder / name, page)
            found[name] = stack.enter_context(served(folder / name))
        yield found


@pytest.fixture
def stage(browser, sites, answers):
    """Return what opens a page in which Python and boards are documents; it must cause no error and no dialog."""
    problems: list[str] = []
    with ExitStack() as stack:

        def note(dialog):
            problems.append(dialog.message)
            dialog.dismiss()

        def run(site="one", *, clock=False, **values):
            context = browser.new_context(bypass_csp=True, viewport=PHONE)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("dialog", note)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text))
            script = {"asked": [], "progress": [], **values, "answers": answers | values.get("answers", {})}
            if clock:
                page.clock.install()
            page.add_init_script(f"globalThis.stage = {json.dumps(script)};\n{PORT}")
            page.route("**/python.js", lambda route: route.fulfill(path=STAND_IN, content_type="text/javascript"))
            page.goto(sites[site])
            return page

        yield run
    assert problems == []


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def load(page):
    page.locator("#loading").wait_for(state="hidden")


def try_to_connect(page):
    load(page)
    press(page, "Connect")


def connect(page):
    try_to_connect(page)
    page.locator("#board .details .terms").wait_for()


def flash(page):
    connect(page)
    press(page, "Flash")


def wait_for(*selectors, after=load):
    def act(page):
        after(page)
        for selector in selectors:
            page.locator(selector).first.wait_for()

    return act


def look_inside(page):
    connect(page)
    page.click("#image summary")
    page.locator(".tile").first.wait_for()


def unfold_content(page):
    connect(page)
    page.click("#board summary")


def choose_file(page):
    page.locator(".drop").wait_for()
    page.set_input_files("#file", {"name": "x.romfs", "mimeType": "", "buffer": b"x"})


def decline(page):
    flash(page)
    press(page, "Keep it")
    page.locator("#flash .result").wait_for()


def answer(name, **error):
    return {"answers": {name: {"error": error}}}


STATES = {
    "loading": ({"held": "load"}, wait_for("#loading progress", after=lambda _: None)),
    "broken": ({"broken": f"{HOSTILE} 404"}, wait_for(".failed", after=lambda _: None)),
    "one image": ({}, load),
    "two images": ({"site": "two"}, load),
    "inside": ({}, look_inside),
    "connecting": ({"held": "connect"}, wait_for(".progress", after=try_to_connect)),
    "no answer": (answer("connect", **LOST), wait_for("#board .failed", after=try_to_connect)),
    "connected": ({"answers": {"connect": board(FOREIGN, machine=HOSTILE)}}, unfold_content),
    "partitions": ({"answers": {"connect": board(*BOTH)}}, connect),
    "no partition": ({"answers": {"connect": board()}}, connect),
    "read-only": ({"answers": {"connect": board(OLD | {"writable": False})}}, connect),
    "question": ({"question": QUESTION}, wait_for("dialog[open]", after=flash)),
    "declined": ({"question": QUESTION}, decline),
    "writing": ({"held": "flash", "progress": WRITING}, wait_for("progress[value]", after=flash)),
    "canceled": (answer("flash", **CANCELED), wait_for("#flash .result", after=flash)),
    "lost": (answer("flash", **LOST), wait_for("#flash .failed", after=flash)),
    "done": ({}, wait_for("#flash .done", after=flash)),
    "workbench": ({"site": "workbench"}, wait_for(".drop")),
    "file": ({"site": "workbench"}, wait_for("#image summary", after=choose_file)),
    "wrong file": ({"site": "workbench"} | answer("open_file", **LOST), wait_for("#image .failed", after=choose_file)),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_accessible_and_fits(state, stage, check_access):
    values, act = STATES[state]
    page = stage(**values)
    act(page)
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            check_access(page)
    assert page.locator("main img, dialog img, main b b").count() == 0


def test_buttons_wait_for_python_and_say_so(stage):
    page = stage(held="load")
    assert page.inner_text("#loading [role=status]") == "Loading Python…"
    assert "camera-app 1.4" in page.inner_text("#image"), "what the page knows is there at once"
    assert page.locator("#board button:enabled, #flash button:enabled, input:enabled").count() == 0
    reason = page.get_attribute("#flash button", "aria-describedby")
    assert page.inner_text(f"#{reason}") == "The page is still loading."
    page.evaluate("stage.release()")
    load(page)
    assert page.is_enabled("#board button >> nth=0")
    assert page.inner_text(f"#{reason}") == "Connect a board first."


def test_an_image_goes_to_its_partition_unless_the_user_chooses_another(stage):
    page = stage(site="two", answers={"connect": board(*BOTH)})
    connect(page)
    assert page.inner_text("#flash .reason") == "Flash writes camera-app 1.4 to partition 0, over app 1.0."
    page.click(".option >> nth=1")
    assert page.is_checked("input[name=partition] >> nth=1")
    assert page.inner_text("#flash .reason") == f"Flash writes <b>{HOSTILE} 0.3 to partition 1."
    press(page, "Flash")
    page.locator("#flash .done").wait_for()
    page.check("input[name=partition] >> nth=2")
    press(page, "Compare only")
    page.locator("#flash .done:has-text('holds')").wait_for()
    assert page.evaluate("stage.asked.slice(-2)") == [["flash", [1, 1]], ["verify", [1, 2]]]


def test_nothing_else_can_be_chosen_while_the_board_is_busy(stage):
    page = stage(site="two", clock=True, held="flash", progress=WRITING, answers={"connect": board(*BOTH)})
    flash(page)
    page.locator("progress[value]").wait_for()
    enabled = "document.querySelectorAll('button:enabled, input:enabled')"
    assert page.evaluate(f"[...{enabled}].filter(e => e.checkVisibility()).map(e => e.textContent)") == ["Cancel"]
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    page.clock.run_for(3_000)  # in which the board says nothing
    assert page.inner_text(".progress-line") == "40,000 of 99,000 bytes, 3 s"
    press(page, "Cancel")
    assert page.is_disabled("text=Canceling…")
    page.evaluate("stage.release()")
    page.locator("#flash .done").wait_for()
    assert page.inner_text("#flash > .body > [role=status]") == "", "no phase stays behind"
    assert page.is_enabled(".option input >> nth=1")


def test_the_keyboard_stays_where_the_work_is(stage):
    page = stage(question=QUESTION)
    connect(page)
    page.focus("#flash button")
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Keep it"
    page.keyboard.press("Enter")
    page.locator("#flash .result").wait_for()
    assert page.evaluate("document.activeElement.innerText") == "partition 0 was not changed"
    assert page.locator(".failed").count() == 0, "what the user decided is not a failure"
    assert "app 1.0" in page.inner_text("#board table")


def test_nothing_moves_for_those_who_do_not_want_it(stage):
    page = stage(held="load")
    moving = "document.getAnimations().length"
    assert page.evaluate(moving) == 1
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


def test_a_map_shows_the_partition_once_it_is_known(stage):
    page = stage()
    load(page)
    page.click("#image summary")
    page.locator(".tile").first.wait_for()
    connect(page)
    page.locator(".tile").first.wait_for()
    asked = page.evaluate("stage.asked.filter(([name]) => name === 'map')")
    assert asked == [["map", [0, 0, 0]], ["map", [0, 1 << 20, 4096]]]
    assert page.locator(".treemap").count() == 1
