"""The page without an image: files, wheels, and folders that its user brings, with real Python in a real browser."""

import zipfile

import pytest

from hatch_romfs import build
from tests.board.boards import put
from tests.projects import make_project
from tests.web.pages import image_of, wait_ready

pytestmark = pytest.mark.xdist_group("web")


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


def drop_in_zone(page, *paths):
    """Drop files and folders on the workbench, which shows where they would go."""
    hover(page, "dragEnter", "dragOver", paths=paths)
    page.locator(".drop.over").wait_for()
    hover(page, "drop", paths=paths)
    assert page.locator(".drop.over").count() == 0


def hover(page, *kinds, paths):
    """Send the browser events of files that are dragged from a file manager."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in kinds:
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 100, "y": 100, "data": data})


def test_a_file_that_is_dropped_on_a_page_with_images_does_not_replace_it(maker_site, new_page, tmp_path):
    page = new_page(maker_site[1])
    wait_ready(page)
    page.evaluate("addEventListener('drop', (event) => { globalThis.isKept = event.defaultPrevented; })")
    hover(page, "dragEnter", "dragOver", "drop", paths=[put(tmp_path / "other.html", b"<p>another page</p>")])
    assert page.evaluate("isKept")


def test_images_and_folders_can_be_dropped_on_the_workbench(workbench, app, new_page, tmp_path):
    page = new_page(workbench[1])
    page.locator(".drop").wait_for()
    drop_in_zone(page, app)
    page.locator("#image .terms:has-text('app.romfs')").wait_for()
    # Browsers give a folder's entries a hundred at a time.
    root = make_project(tmp_path / "many", {f"data/{number}/x": f"{number}\n" for number in range(250)})
    drop_in_zone(page, root)
    page.locator("#image .terms:has-text('many.romfs')").wait_for()
    native = build(root, tmp_path / "native.romfs", overrides={"mpy": False})
    assert native.sha256 in page.inner_text("#image"), "the same bytes as on the command line"
    drop_in_zone(page, root / "data" / "7", root / "data" / "8")
    page.locator("#image summary:has-text('2 files')").wait_for()
