"""The stand-in for navigator.serial does what Chromium's does: first of all, refuse."""

import json
from contextlib import ExitStack

import pytest

from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.web.bridge import wait_until
from tests.web.site import served

pytestmark = pytest.mark.xdist_group("web")

HARNESS = """<!doctype html><title>Harness</title><button>Choose</button><script>
"use strict";
globalThis.events = [];
for (const type of ["connect", "disconnect"]) {
  navigator.serial.addEventListener(type, (event) => events.push(`${type} ${event.target === globalThis.port}`));
}
document.querySelector("button").addEventListener("click", () => {
  globalThis.choice = navigator.serial.requestPort(globalThis.options).then((port) => { globalThis.port = port; });
});
/** Return how a promise ends, in words. */
async function outcome(promise) {
  try { return await promise; } catch (error) { return `${error.name}: ${error.message}`; }
}
async function read(reader, size) {
  let text = "";
  while (text.length < size) {
    const { value, done } = await reader.read();
    if (done) return `${text}(end)`;
    text += new TextDecoder("latin1").decode(value);
  }
  return text;
}
globalThis.early = outcome(navigator.serial.requestPort()); // what playwright evaluates counts as a click
const write = (writer, text) => writer.write(new TextEncoder().encode(text));
</script>"""


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harness")
    (folder / "index.html").write_text(HARNESS)
    with served(folder) as url:
        yield url


@pytest.fixture(scope="module")
def tab(new_page, harness):
    return new_page(harness)


@pytest.fixture
def page(tab):
    tab.reload()
    return tab


@pytest.fixture(scope="module")
def own(browser, harness):
    """A page without the stand-in."""
    page = browser.new_page()
    page.goto(harness)
    yield page
    page.close()


@pytest.fixture
def board():
    with SimulatedBoard(SimOptions(size=64 << 10)) as started:
        yield started


@pytest.fixture
def plug(bridge, board):
    return bridge.plug_in(board)


@pytest.fixture
def chosen(page, plug):
    """A page whose user has chosen the board's port."""
    page.click("button")
    assert page.evaluate("outcome(choice)") is None
    return page


# Against the browser's own


CALLS = {
    "without a click": "early",
    "the ports": "navigator.serial.getPorts()",
    "constructing": "outcome(Promise.resolve().then(() => new SerialPort()))",
    "constructing the other": "outcome(Promise.resolve().then(() => new Serial()))",
    "filters that say nothing": "outcome(navigator.serial.requestPort({filters: [{}]}))",
    "a product without a vendor": "outcome(navigator.serial.requestPort({filters: [{usbProductId: 5}]}))",
}


@pytest.mark.parametrize("call", CALLS)
def test_it_answers_as_the_browsers_own(call, page, own):
    expected = own.evaluate(CALLS[call])
    assert page.evaluate(CALLS[call]) == expected
    assert expected == [] if call == "the ports" else "Error: " in expected


def test_it_has_the_members_of_the_browsers_own(page, own):
    names = """Object.fromEntries([Serial, SerialPort].map((one) =>
        [one.name, Object.getOwnPropertyNames(one.prototype).filter((name) => !name.startsWith("on")).sort()]))"""
    expected = own.evaluate(names)
    assert page.evaluate(names) == expected
    assert "requestPort" in expected["Serial"]
    assert "readable" in expected["SerialPort"]


def test_the_user_may_cancel(page, bridge):
    bridge.choice = None
    page.click("button")
    said = page.evaluate("outcome(choice)")
    assert said == "NotFoundError: Failed to execute 'requestPort' on 'Serial': No port selected by the user."
    assert page.evaluate("navigator.serial.getPorts()") == []


@pytest.mark.parametrize(("vendor", "found"), [(0x2E8A, True), (0x1209, False)])
def test_the_dialog_lists_what_the_filters_name(vendor, found, page, bridge, plug):
    page.evaluate(f"globalThis.options = {{filters: [{{usbVendorId: {vendor}}}]}}")
    page.click("button")
    assert (page.evaluate("outcome(choice)") is None) is found


# A port


OPEN = "port.open({baudRate: 115200, ...more})"
GREETING = "\r\x03\x03\x01"
"""What leads a board into its raw REPL, which says so."""


def opened(page, **more):
    page.evaluate(f"more => {OPEN}", more)


def test_bytes_go_to_a_board_and_come_back(chosen, board, plug):
    opened(chosen)
    found = chosen.evaluate(r"""async () => {
      const writer = port.writable.getWriter(), reader = port.readable.getReader();
      await write(writer, "\r\x03\x03\x01");
      let text = "";
      while (!text.endsWith("raw REPL; CTRL-B to exit\r\n>")) text += await read(reader, 1);
      await write(writer, "print(6 * 7)\x04");
      return await read(reader, 7);
    }""")
    assert found.startswith("OK42\n\x04\x04")
    assert plug.sent == board.relay.up.sent


REFUSALS = {
    "open without a speed": ("port.open({})", "TypeError: Failed to execute 'open' on 'SerialPort': "),
    "open at no speed": (
        "port.open({baudRate: 0})",
        "TypeError: Failed to execute 'open' on 'SerialPort': Requested baud rate must be greater than zero.",
    ),
    "open with no buffer": (
        "port.open({baudRate: 9600, bufferSize: 0})",
        "TypeError: Failed to execute 'open' on 'SerialPort': Requested buffer size (0 bytes) must be greater than",
    ),
    "close": (
        "port.close()",
        "InvalidStateError: Failed to execute 'close' on 'SerialPort': The port is already closed.",
    ),
    "signals": (
        "port.setSignals({dataTerminalReady: true})",
        "InvalidStateError: Failed to execute 'setSignals' on 'SerialPort': The port is closed.",
    ),
}


@pytest.mark.parametrize("call", REFUSALS)
def test_a_closed_port_refuses(call, chosen):
    done, said = REFUSALS[call]
    assert chosen.evaluate("[port.readable, port.writable, port.connected]") == [None, None, True]
    assert chosen.evaluate(f"outcome({done})").startswith(said)


def test_an_open_port_refuses_to_be_opened_and_to_be_closed_while_a_stream_is_locked(chosen):
    opened(chosen)
    assert chosen.evaluate("outcome(port.open({baudRate: 9600}))") == (
        "InvalidStateError: Failed to execute 'open' on 'SerialPort': The port is already open."
    )
    for stream in ("readable", "writable"):
        chosen.evaluate(f"globalThis.lock = port.{stream}.get{'Reader' if stream == 'readable' else 'Writer'}()")
        assert chosen.evaluate("outcome(port.close())").startswith("TypeError: ")
        chosen.evaluate("lock.releaseLock()")
    assert chosen.evaluate("outcome(port.close())") is None
    assert chosen.evaluate("[port.readable, port.writable]") == [None, None]
    opened(chosen)
    assert chosen.evaluate("outcome(port.setSignals({}))").startswith("TypeError: ")


def test_two_calls_of_open_at_once(chosen):
    said = chosen.evaluate("Promise.all([0, 1].map(() => outcome(port.open({baudRate: 9600}))))")
    assert said == [
        None,
        "InvalidStateError: Failed to execute 'open' on 'SerialPort': A call to open() is already in progress.",
    ]


def test_a_port_that_another_program_has(chosen, board):
    import serial

    with serial.Serial(board.port, exclusive=True):
        assert chosen.evaluate("outcome(port.open({baudRate: 9600}))") == (
            "NetworkError: Failed to execute 'open' on 'SerialPort': Failed to open serial port."
        )
    opened(chosen)


def test_a_canceled_read_ends_and_leaves_the_port_open(chosen):
    opened(chosen)
    said = chosen.evaluate(r"""async () => {
      const reader = port.readable.getReader();
      const first = reader.read();
      await reader.cancel();
      reader.releaseLock();
      const again = port.readable.getReader();
      await write(port.writable.getWriter(), "\r\x03\x03\x01");
      return [(await first).done, await read(again, 1)];
    }""")
    assert said[0] is True
    assert len(said[1]) >= 1


def test_a_reader_that_lets_go_loses_its_read_but_no_byte(chosen):
    opened(chosen)
    said = chosen.evaluate(r"""async () => {
      const reader = port.readable.getReader();
      const first = outcome(reader.read());
      reader.releaseLock();
      await write(port.writable.getWriter(), "\x02");
      const text = await read(port.readable.getReader(), 10);
      return [await first, text];
    }""")
    assert said[0].startswith("TypeError: ")
    assert len(said[1]) >= 10


def test_a_piece_is_never_larger_than_the_buffer(chosen, board):
    sizes = f"""async () => {{
      const reader = port.readable.getReader(), writer = port.writable.getWriter();
      await write(writer, {json.dumps(GREETING)});
      await write(writer, "print('x' * 3000)\x04");
      const sizes = [];
      for (let all = 0; all < 3000; all += sizes.at(-1)) sizes.push((await reader.read()).value.length);
      return sizes;
    }}"""
    opened(chosen, bufferSize=100)
    assert max(chosen.evaluate(sizes)) == 100


def test_what_is_not_bytes_cannot_be_written(chosen):
    opened(chosen)
    assert chosen.evaluate("outcome(port.writable.getWriter().write('text'))").startswith("TypeError: ")


# Boards that come and go


def wait_for(page, expression):
    wait_until(lambda: page.evaluate(expression))


def test_a_device_that_is_lost(chosen, plug):
    opened(chosen)
    chosen.evaluate("""() => {
      globalThis.reader = port.readable.getReader();
      globalThis.writer = port.writable.getWriter();
      globalThis.said = outcome((async () => { for (;;) await reader.read(); })());
    }""")
    plug.unplug()
    assert chosen.evaluate("said") == "NetworkError: The device has been lost."
    wait_for(chosen, "events.length")
    assert chosen.evaluate("events") == ["disconnect true"]
    assert chosen.evaluate("[port.readable, port.connected]") == [None, False]
    # A write only fails once it is on its way, as on Linux.
    chosen.evaluate("outcome(write(writer, 'x'))")
    assert chosen.evaluate("outcome(writer.closed)") == "UnknownError: An unknown system error has occurred."
    assert chosen.evaluate("outcome(write(writer, 'x'))") == "UnknownError: An unknown system error has occurred."
    assert chosen.evaluate("outcome(port.open({baudRate: 9600}))").startswith("InvalidStateError: ")
    chosen.evaluate("port.writable && writer.releaseLock()")
    assert chosen.evaluate("outcome(port.close())") is None
    assert chosen.evaluate("outcome(port.open({baudRate: 9600}))").startswith("NetworkError: ")
    assert chosen.evaluate("navigator.serial.getPorts()") == []


def test_bytes_from_before_a_loss_still_arrive(chosen, plug):
    opened(chosen, bufferSize=4096)
    chosen.evaluate(r"""() => {
      globalThis.stream = port.readable;
      return write(port.writable.getWriter(), "\x03\x01");
    }""")
    wait_until(lambda: plug.received >= len("raw REPL; CTRL-B to exit\r\n>"))
    plug.unplug()
    wait_for(chosen, "!port.connected")
    said = chosen.evaluate("""async () => {
      const reader = stream.getReader();
      let all = 0;
      const said = await outcome((async () => { for (;;) all += (await reader.read()).value.length; })());
      return [all, said];
    }""")
    assert said == [plug.received, "NetworkError: The device has been lost."]


@pytest.mark.parametrize(("number", "ports"), [("E660", 1), (None, 0)])
def test_a_board_that_comes_back_is_another_port_if_the_browser_knows_it_again(number, ports, page, bridge, board):
    plug = bridge.plug_in(board, number=number)
    page.click("button")
    page.evaluate("choice")
    assert page.evaluate("port.getInfo()") == {"usbVendorId": 0x2E8A, "usbProductId": 5}
    plug.unplug()
    wait_for(page, "events.length")
    plug.plug_in()
    wait_until(lambda: plug.token)
    if ports:
        wait_for(page, "events.length > 1")
    assert page.evaluate("events") == ["disconnect true", "connect false"][: 1 + ports]
    found = page.evaluate("navigator.serial.getPorts().then((ports) => ports.map((one) => one === port))")
    assert found == [False] * ports
    if ports:
        page.evaluate("navigator.serial.getPorts().then(([found]) => { globalThis.port = found; })")
        opened(page)


def test_a_board_that_resets_takes_its_port_away(page, bridge):
    with ExitStack() as stack:
        board = stack.enter_context(SimulatedBoard(SimOptions(size=64 << 10, vanish=50)))
        bridge.plug_in(board)
        page.click("button")
        page.evaluate("choice")
        opened(page)
        board.reset()
        wait_for(page, "events.length > 1")
        assert page.evaluate("events") == ["disconnect true", "connect false"]


def test_a_port_that_is_forgotten_is_closed(chosen):
    opened(chosen)
    chosen.evaluate("() => { globalThis.said = outcome(port.readable.getReader().read()); return port.forget(); }")
    assert chosen.evaluate("said") == "NetworkError: The device has been lost."
    assert chosen.evaluate("navigator.serial.getPorts()") == []
    assert chosen.evaluate("outcome(port.open({baudRate: 9600}))").startswith("NetworkError: ")
