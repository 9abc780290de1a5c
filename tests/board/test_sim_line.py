"""The serial line of a simulated board: its speed, its receive buffer, and mpremote on every such line."""

import subprocess
import time

import pytest

from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.hosts import host_of, mpremote, need_linux, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    need_linux()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A small image, built by mpremote."""
    source = tmp_path_factory.mktemp("image") / "app"
    source.mkdir()
    (source / "hello.py").write_text("".join(f"def f{n}(x):\n    return x * {n} + {n * 7}\n" for n in range(90)))
    made = source.with_name("app.romfs")
    subprocess.run([judges.command("mpremote"), "romfs", "-o", made, "build", source], check=True, capture_output=True)
    return made


@pytest.mark.parametrize(
    ("baud", "ring", "gc"),
    [
        (115_200, 256, 0),
        (115_200, 256, 250),
        (115_200, 512, 100),
        (460_800, 256, 20),
        (460_800, 512, 250),
        (921_600, 256, 100),
        (921_600, 512, 20),
        (0, 256, 20),
    ],
)
def test_mpremote_succeeds_on_every_line(baud, ring, gc, image):
    options = SimOptions(size=64 << 10, baud=baud, ring=ring, gc=gc, erase=45, program=0.7, hash=3, latency=2)
    with SimulatedBoard(options) as board:
        said = mpremote(board, "fs", "ls", "+", "exec", "import gc; gc.collect(); print(6 * 7)")
        assert said.split() == ["ls", ":", "42"]
        assert "ROMFS image deployed" in mpremote(board, "romfs", "deploy", str(image))
        assert board.file.read_bytes().startswith(image.read_bytes())
        assert (board.relay.up.dropped, board.violations) == (0, ())


@pytest.mark.parametrize("ring", [0, 256])
def test_a_paced_line_takes_ten_bits_a_byte_each_way(ring):
    with running(f"?baud=115200&ring={ring}&size=64K") as (board, host):
        begin, up, down = time.monotonic(), board.relay.up.sent, board.relay.down.received
        host.say("print(len('" + "y" * 2880 + "'))\nprint('x' * 2880)")
        up, down = board.relay.up.sent - up, board.relay.down.received - down
        assert up > 2880 < down
        assert time.monotonic() - begin > (up + down - 300) * 10 / 115_200


def test_latency_delays_what_comes_down():
    with running("?latency=100&size=64K") as (_, host):
        begin = time.monotonic()
        assert host.eval("1 + 1") == 2
        assert time.monotonic() - begin > 0.2  # the answer to raw-paste, and the output


READ_LATE = """
import sys, time
print('go')
time.sleep(0.5)
print(len(sys.stdin.buffer.read({})))
"""


def test_a_full_ring_loses_what_comes_while_the_board_is_busy():
    with running("?baud=115200&ring=256&size=64K") as (board, host):
        host.exec_raw_no_follow(READ_LATE.format(256))
        host.until(b"go\n")
        host.serial.write(b"x" * 1000)
        assert host.until(b"\n") == b"256\n"
        host.follow(5)
        assert 700 < board.relay.up.dropped <= 744  # those that are just on their way to the ring fit
        assert host.say("print(1)") == "1"


def test_without_a_ring_nothing_is_lost():
    with running("?baud=115200&size=64K") as (board, host):
        host.exec_raw_no_follow(READ_LATE.format(5000))
        host.until(b"go\n")
        host.serial.write(b"x" * 5000)
        assert host.until(b"\n") == b"5000\n"
        assert board.relay.up.dropped == 0


def test_a_ctrl_c_is_seen_behind_a_full_ring():
    with running("?baud=921600&ring=256&size=64K") as (board, host):
        host.exec_raw_no_follow("print('go')\nwhile True:\n    pass")
        host.until(b"go\n")
        host.serial.write(b"x" * 2000 + b"\x03")
        assert b"KeyboardInterrupt" in host.until(b"\x04>")
        # A busy system is still moving bytes to the other end of the terminal, where they count: 256 more at most.
        assert 2000 - 2 * 256 <= board.relay.up.dropped <= 2000 - 256


def test_a_ctrl_c_between_allocations_leaves_the_heap_usable():
    with running("?size=64K") as (_, host):
        for _ in range(20):
            host.exec_raw_no_follow("while True:\n    [bytearray(64) for _ in range(500)]\n    print('go')")
            host.until(b"go\n")
            host.serial.write(b"\x03")
            assert b"KeyboardInterrupt" in host.follow(5)[1]
            assert host.say("print(len(bytearray(5000)))") == "5000"


def test_a_port_that_disappears_at_a_reset(image):
    with SimulatedBoard(SimOptions(size=64 << 10, vanish=300)) as board:
        before = board.port
        with host_of(board) as host:
            host.until(b">")
            host.serial.write(b"\x04")
            with pytest.raises(OSError, match="no data|Input/output"):  # noqa: PT012 - whichever byte is the last
                for _ in range(3):
                    host.serial.read_until(b"never")
        deadline = time.monotonic() + 10
        while not board.relay.is_open and time.monotonic() < deadline:
            time.sleep(0.01)
        assert board.port == before
        with host_of(board) as host:
            assert host.say("print(1)") == "1"
