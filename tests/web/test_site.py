"""The page as people use it: a real browser, real Python, and simulated boards behind a stand-in for Web Serial."""

from pathlib import Path

import pytest

from tests.board.boards import held, put
from tests.web.bridge import wait_until
from tests.web.pages import CONNECT, FLASH, image_of, wait_ready

pytestmark = pytest.mark.xdist_group("web")
WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 360, "height": 740}
SIZE = 256 << 10
SAVE, COMPARE = "#board button >> nth=1", "#flash button >> nth=1"
HOSTILE = "<img src=x onerror=alert(1)>" + "long" * 20


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
    assert page.inner_text("#question-text").endswith("has 20 files that the new one does not have:")
    assert page.locator("dialog li").count() == 20
    assert f"{HOSTILE}/0.py" in page.inner_text("dialog")
    check_access(page)
    page.keyboard.press("Escape")
    assert result(page) == ["partition 0 was not changed"]
    assert page.locator(".failed").count() == 0, "what the user decided is not a failure"
    assert f"<b>{HOSTILE} 0.9" in page.inner_text("#board")
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
    page.click("#image summary")
    page.locator(".tile").first.wait_for()  # Python draws the map while it waits for the board
    page.click(".progress button")
    assert result(page)[0] == "interrupted: partition 0 holds no image now; try again to finish"
    assert "Unknown since the write did not complete." in page.inner_text("#board")
    check_access(page)
    sent = plug.sent
    page.click(FLASH)
    wait_until(lambda: plug.sent > sent + 20_000)
    plug.unplug()
    message, hint, button = result(page)
    assert button == "Try again"
    assert message.startswith("the port of USB device 2e8a:0005: the link was lost: The device has been lost, while ")
    assert hint == "Check the cable, and try again.\nPartition 0 holds no image now."
    check_access(page)
    plug.plug_in()
    page.wait_for_timeout(200)
    assert result(page, "#flash .result button")[0] == "app 1.0 is on the board."
    assert page.inner_text("#flash [role=status] >> nth=0") == ""
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
