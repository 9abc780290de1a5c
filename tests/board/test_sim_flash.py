"""The flash of a simulated board keeps the rules of the real one, of each kind."""

import hashlib

import pytest

from tests.board.hosts import BANNER, SMALL, need_linux, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    need_linux()


class TestFlashRules:
    @pytest.mark.parametrize(
        ("code", "result", "words"),
        [
            ("dev.writeblocks(0, bytes(255), 0)", -22, "write 0+255: not whole write units"),
            ("dev.writeblocks(0, bytes(256), 128)", -22, "write 128+256: not whole write units"),
            ("dev.writeblocks(15, bytes(512), 3840)", -22, "write 65280+512: not whole write units"),
            ("dev.writeblocks(-1, bytes(256), 0)", -22, "write -4096+256: not whole write units"),
            ("dev.writeblocks(0, b'\\xf0' * 512, 0)", -5, "write 0+512: over bytes that are not erased"),
            ("dev.ioctl(6, 16)", -22, "erase 65536+4096: not whole blocks"),
        ],
    )
    def test_a_broken_rule_is_an_error_and_noted(self, code, result, words):
        with running() as (board, host):
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\ndev.writeblocks(0, b'\\x0f' * 256, 256)")
            assert host.eval(code) == result
            assert len(board.violations) == 1
            assert words in board.violations[0]

    def test_a_write_only_clears_bits(self):
        with running() as (board, host):
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\ndev.writeblocks(0, b'\\x0f' * 256, 0)")
            assert host.eval("dev.writeblocks(0, b'\\x3c' * 256, 0)") == -5
            assert host.eval("memoryview(dev)[0]") == 0x0C
            assert board.file.read_bytes()[:257] == b"\x0c" * 256 + b"\xff"
            assert host.eval("dev.writeblocks(0, bytes(4096))") is None  # without an offset it erases first
            assert host.eval("memoryview(dev)[0]") == 0

    def test_an_erase_of_a_range_is_of_whole_blocks(self):
        with running("?port=stm32&" + SMALL) as (board, host):
            host.say("import vfs\nq = vfs.rom_ioctl")
            assert [host.eval(f"q(3, 0, {at}, {size})") for at, size in ((0, 100), (100, 4096), (0, 1 << 17))] == [
                -22
            ] * 3
            assert len(board.violations) == 3


class TestKinds:
    """What a second write between erases does."""

    def test_nor_flash_clears_more_bits(self):
        with running("?port=rp2&" + SMALL) as (board, host):
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\ndev.writeblocks(0, b'\\xff' * 4 + b'\\x0f' * 252, 0)")
            assert host.eval("dev.writeblocks(0, b'\\xd2\\xcd\\x31\\x80' + b'\\xff' * 252, 0)") is None
            assert host.eval("dev.writeblocks(0, bytes(16) + b'\\xff' * 240, 0)") is None
            assert board.file.read_bytes()[:256] == bytes(16) + b"\x0f" * 240
            assert not board.violations

    @pytest.mark.parametrize("query", ["port=stm32&unit=16", "port=samd", "port=rp2&ecc=yes"])
    def test_ecc_flash_refuses_a_second_write(self, query):
        with running(f"?{query}&{SMALL}") as (board, host):
            write = "dev.writeblocks(0, b, 0)" if "stm32" not in query else "vfs.rom_ioctl(4, 0, 0, b)"
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\nb = b'\\x0f' * 256")
            assert not host.eval(write)
            host.say("b = bytes(256)")
            assert host.eval(write) == -5
            assert len(board.violations) == 1

    def test_nrf_flash_takes_two_writes_of_a_word(self):
        with running("?port=nrf&" + SMALL) as (board, host):
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\ndef put(b, at): return dev.writeblocks(0, b, at)")
            assert host.eval("[put(b'\\xff' * 8, 0), put(bytes(4), 0), put(bytes(4), 4)]") == [None] * 3
            assert not board.violations
            host.until(b">")
            host.serial.write(b"\x04")  # the count outlives a soft reset
            host.until(BANNER[:-1])
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\ndef put(b, at): return dev.writeblocks(0, b, at)")
            assert host.eval("put(bytes(4), 0)") == -5
            assert host.eval("[dev.ioctl(6, 0), put(bytes(4), 0), put(bytes(4), 0)]") == [0, None, None]
            assert len(board.violations) == 1
            assert "a third time" in board.violations[0]


class TestStatedGeometry:
    """Flash that differs from what its firmware states."""

    def test_a_unit_that_is_too_small(self):
        with running("?port=stm32&unit=16&real-unit=32&" + SMALL) as (board, host):
            host.say("import vfs\nq = vfs.rom_ioctl")
            assert host.eval("[q(3, 0, 0, 0), q(4, 0, 16, bytes(16)), q(4, 0, 32, bytes(16))]") == [16, -5, 0]
            assert board.file.read_bytes()[:64] == b"\xff" * 32 + bytes(16) + b"\xff" * 16
            assert not board.violations  # it was told 16
            assert host.eval("q(4, 0, 32, bytes(16))") == -5

    def test_a_block_that_is_too_large(self):
        with running("?port=stm32&block=128K&real-block=16K&size=80K") as (board, host):
            host.say("import vfs\nq = vfs.rom_ioctl\nq(4, 0, 0, bytes(80 << 10))")
            assert host.eval("[q(6, 0), len(q(2, 0)), q(3, 0, 0, 128 << 10)]") == [128 << 10, 80 << 10, -22]
            assert host.eval("q(3, 0, 16384, 16384)") == 4
            assert board.file.read_bytes() == bytes(16384) + b"\xff" * 16384 + bytes(49152)

    def test_a_block_that_is_too_small(self):
        with running("?port=rp2&real-block=16K&size=32K") as (board, host):
            host.say("import vfs\ndev = vfs.rom_ioctl(2, 0)\nfor n in range(8): dev.writeblocks(n, bytes(4096), 0)")
            assert host.eval("(dev.ioctl(5, 0), dev.ioctl(6, 5))") == (4096, 0)
            assert board.file.read_bytes() == bytes(16384) + b"\xff" * 16384
            assert not board.violations


class TestTime:
    """Hardware takes its time; a test may be slower than that, never faster."""

    @pytest.mark.parametrize(
        ("query", "code", "milliseconds"),
        [
            ("gc=200", "import gc\ngc.collect()", 200),
            ("erase=100", "import vfs\nfor n in range(2): vfs.rom_ioctl(2, 0).ioctl(6, n)", 200),
            ("program=10", "import vfs\nvfs.rom_ioctl(2, 0).writeblocks(0, bytes(4096), 0)", 160),
            ("hash=4", "import hashlib\nhashlib.sha256(bytes(51200)).digest()", 200),
            ("hash=4", "import hashlib\nh = hashlib.sha256()\nfor n in range(400): h.update(bytes(128))", 200),
            ("hash=16", "import binascii\nbinascii.crc32(bytes(102400))", 200),
        ],
    )
    def test_takes_time(self, query, code, milliseconds):
        with running(f"?{query}&{SMALL}") as (_, host):
            assert host.eval("__import__('hashlib').sha256(b'a').digest()") == hashlib.sha256(b"a").digest()
            host.say("import time\nbegin = time.ticks_ms()")
            host.say(code)
            assert host.eval("time.ticks_diff(time.ticks_ms(), begin)") >= milliseconds

    def test_an_erase_is_not_interrupted(self):
        with running("?port=stm32&erase=200&" + SMALL) as (board, host):
            host.say("import vfs\nvfs.rom_ioctl(4, 0, 0, bytes(8192))")
            host.exec_raw_no_follow("print('go')\nvfs.rom_ioctl(3, 0, 0, 8192)")
            host.until(b"go\n")
            host.serial.write(b"\x03")
            assert b"KeyboardInterrupt" in host.until(b"\x04>")
            assert board.file.read_bytes() == b"\xff" * 65536
