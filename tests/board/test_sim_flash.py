"""The flash of a simulated board keeps the rules of the real one, of each kind."""

import pytest

from tests.board.hosts import SMALL, need_linux, running


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
