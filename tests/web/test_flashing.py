"""The page's code and the Python API flash equal boards: the same bytes, messages, and partitions, for every access."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from hatch_romfs.board import flashed, repl
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import (
    ARMV7EMSP,
    FAMILIES,
    SIZE,
    assert_never_broken,
    coded,
    declared,
    firmware,
    held,
    image_bytes,
    mpy,
    options,
    put,
    signed_again,
)
from tests.board.faulty import Faults, FaultyBoard
from tests.web.bridge import wait_until
from tests.web.flashing import Tab, flash_natively, write_site
from tests.web.site import served

pytestmark = pytest.mark.xdist_group("web")
OLD, NEW = image_bytes(9000, 1), image_bytes(10_006, 2)
RAM = 64 << 10
_numbers = itertools.count()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with served(write_site(tmp_path_factory.mktemp("site"))) as address:
        yield f"{address}harness.html"


@pytest.fixture(scope="module")
def shared_tab(new_page, bridge, url):
    return Tab(new_page(url), bridge)


@pytest.fixture
def memory(monkeypatch):
    """The name under which this test's flashed images are remembered."""
    name = f"flashed-{next(_numbers)}"
    monkeypatch.setattr(flashed, "FOLDER", name)
    return name


@pytest.fixture
def tab(shared_tab, memory):
    shared_tab.prepare(memory)
    return shared_tab


@pytest.fixture
def new(tmp_path):
    return put(tmp_path / "new.romfs", NEW)


@pytest.fixture
def twins(tab, tmp_path):
    """Return what starts two equal boards, of which the page has the first."""
    with ExitStack() as stack:

        def start(family, content=b"", faults=None, **more):
            boards = []
            for name in ("of the page", "of the API"):
                file = put(tmp_path / f"{next(_numbers)} {name}", content.ljust(SIZE, b"\xff")) if content else None
                board = FaultyBoard(options(family, file, ram=RAM, **more), faults or Faults())
                boards.append(stack.enter_context(board))
            return stack.enter_context(plugged_in(tab, boards[0])), *boards

        yield start


@contextmanager
def plugged_in(tab, board):
    plug = tab.plug_in(board)
    yield plug
    tab.unplug(plug)


def without_boot(outcome):
    """Leave out how much the board said: whether the last reset's greeting was read depends on the moment."""
    document = outcome.get("document")
    return {**outcome, "document": document and {**document, "received": 0}}


def assert_same(page, native):
    assert without_boot(page) == without_boot(native)


EDITED = signed_again(NEW, 5000, bytes(10))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_flash_costs_the_same_bytes_and_leaves_the_same(family, twins, tab, tmp_path):
    """First, the same again, an edit, a smaller one, a larger one, and one that does not fit."""
    images = [NEW, NEW, EDITED, image_bytes(6000, 4), OLD, image_bytes(SIZE + 2, 5)]
    plug, ours, other = twins(family)
    for number, data in enumerate(images):
        image = put(tmp_path / f"{number}.romfs", data)
        page, native = tab.flash(image), flash_natively(other, image)
        assert_same(page, native)
        assert held(ours) == held(other)
        wait_until(lambda: plug.sent == ours.relay.up.sent == other.relay.up.sent)
        if len(data) <= SIZE:
            assert page["document"]["mounted"]
            assert held(ours).startswith(data)
        else:
            assert page["status"] == 5
            assert "2 more than partition 0 holds" in page["message"]
    assert ours.violations == ()


REFUSALS = {
    "no partition": ("none", {}, Faults()),
    "no ROMFS": ("no-romfs", {}, Faults()),
    "read-only": ("qemu", {}, Faults()),
    "a partition that cannot be used": ("rp2", {"unusable": ((0, "raises"),)}, Faults()),
    **{f"other code, {family}": (family, {}, firmware(ARMV7EMSP)) for family in FAMILIES},
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_board_that_cannot_take_an_image(case, twins, tab, tmp_path):
    family, more, faults = REFUSALS[case]
    plug, ours, other = twins(family, OLD, faults, **more)
    image = put(tmp_path / "new.romfs", coded({"m.mpy": mpy(arch=3)}) if "code" in case else NEW)
    page, native = tab.flash(image), flash_natively(other, image)
    assert_same(page, native)
    assert page["status"] == 5
    assert held(ours) == held(other)
    assert held(ours).startswith(OLD)
    wait_until(lambda: plug.sent == ours.relay.up.sent == other.relay.up.sent)


def is_true(message, partition):
    """Tell whether a partition has what a message about it says."""
    has = declared(partition)
    if "holds no image now" in message:
        return has is None
    if "holds the new image, or none" in message:
        return has is None or partition.startswith(NEW)
    assert "holds what it did before, or no image" in message
    return has is None or partition.startswith(OLD)


WRITING, VERIFYING = ("writing", 6000), ("verifying", len(NEW) - 3)
CANCELS = [
    *((family, WRITING) for family in FAMILIES),
    ("rp2", ("writing", 1)),
    ("rp2", VERIFYING),
    ("alif", VERIFYING),
]


@pytest.mark.parametrize(("family", "at"), CANCELS)
def test_a_canceled_flash_is_one_that_ctrl_c_has_ended(family, at, twins, tab, new):
    _, ours, other = twins(family, OLD)
    page, native = tab.flash(new, cancel=at), flash_natively(other, new, cancel=at)
    assert page["status"] == native["status"] == 130
    assert is_true(page["message"], held(ours))
    if at[0] == "writing":  # otherwise the page notices it one step later, while the header is written
        assert page["message"] == native["message"]
        assert declared(held(ours)) is declared(held(other)) is None
    again = tab.flash(new)
    assert again["document"]["mounted"]
    assert held(ours).startswith(NEW)
    assert ours.violations == ()


CUTS = 100
SHORT = 1.0
"""Seconds to wait for a board that was reset while code was sent to it."""
_LOST = re.compile(r"the link was lost: .*?(?=, while|$)")
_NOTICED = re.compile(r", while working on block \d+ at 0x[0-9a-f]+|\nPartition 0 .*")


def cause(outcome):
    """Return the message and hint without what differs from run to run, also on the command line.

    These are the words of the system, or of the browser, for a device that is gone, and at which step a cut is noticed.
    """
    lost = {
        name: _LOST.sub("the link was lost", outcome[name] or "") for name in ("message", "hint") if name in outcome
    }
    return {name: _NOTICED.sub("", text) for name, text in lost.items()}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("family", FAMILIES)
def test_a_line_that_is_cut_anywhere(family, twins, tab, memory, pool, monkeypatch, new, tmp_path):  # noqa: PLR0917
    """At a hundred places of a flash in all: the cable goes, or, in every second case, the board resets."""
    monkeypatch.setattr(repl, "PASTE_TIMEOUT", SHORT)
    tab.prepare(memory, SHORT)
    _, _, other = twins(family, OLD)
    full = flash_natively(other, new)["document"]["sent"]
    partitions = []
    for turn, number in enumerate(range(FAMILIES.index(family), CUTS, len(FAMILIES))):
        at = full * number // CUTS + 1
        faults = Faults(cut_after=at) if turn % 2 else Faults(reset_after=at)
        file, twin = (put(tmp_path / name, OLD.ljust(SIZE, b"\xff")) for name in ("page.bin", "api.bin"))
        with (
            FaultyBoard(options(family, file, ram=RAM), faults) as ours,
            FaultyBoard(options(family, twin, ram=RAM), faults) as other,
            plugged_in(tab, ours),
        ):
            natively = pool.submit(flash_natively, other, new)
            page, native = tab.flash(new), natively.result()
        found = file.read_bytes()
        assert cause(page) == cause(native), at
        assert page.get("status") == native.get("status"), at
        if "message" in page:
            assert page["status"] == 4
            for outcome, partition in ((page, found), (native, twin.read_bytes())):
                assert "Partition 0 holds" not in outcome["hint"] or is_true(outcome["hint"], partition), at
        else:  # a reset before anything was asked is got over
            assert not turn % 2
            assert found.startswith(NEW)
        partitions.append(found)
        with SimulatedBoard(options(family, file, ram=RAM)) as mended:
            assert finish(tab if turn % 5 == 1 else None, mended, new)["document"]["mounted"], at
            assert mended.violations == ()
        assert file.read_bytes().startswith(NEW)
    assert len(partitions) == CUTS // len(FAMILIES)
    assert_never_broken(partitions, (OLD, NEW), tmp_path)


def finish(tab, board, image):
    """Flash again what was cut, in the page or, which takes less time, natively."""
    if tab is None:
        return flash_natively(board, image)
    with plugged_in(tab, board):
        return tab.flash(image)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tab_that_is_closed_halfway(family, new_page, bridge, url, memory, twins, tab, new, tmp_path):  # noqa: PLR0917
    other = Tab(new_page(url), bridge)
    other.prepare(memory)
    plug, ours, _ = twins(family, OLD)
    other.choose()
    other.start(new)
    wait_until(lambda: plug.sent > 9000)
    other.page.context.close()
    bridge.wait_closed()
    assert_never_broken([held(ours)], (OLD, NEW), tmp_path)
    assert tab.flash(new)["document"]["mounted"]
    assert held(ours).startswith(NEW)
    assert ours.violations == ()
