"""How a simulated board starts, resets, is interrupted and ends."""

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
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests import judges
from tests.board.faulty import Faults
from tests.board.hosts import BANNER, Host, children, host_of, mpremote, mpremote_image, need_linux, running


@pytest.fixture(autouse=True, scope="module")
def _linux():
    need_linux()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return mpremote_image(tmp_path_factory.mktemp("image"))


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
                assert host.eval("__import__('sys').path") == ["", ".frozen", "/lib", "/rom", "/rom/lib"]
                assert host.eval("__import__('hello').hi()") == "hello from /rom/hello.mpy"
                board.reset()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["rom.bin"]

    def test_two_boards(self):
        with running() as (one, first), running("?port=alif&size=16K") as (other, second):
            first.say("x = 1")
            second.say("x = 2")
            assert (first.eval("x"), second.eval("x")) == (1, 2)
            assert one.port != other.port


LOOP = "import time\nwhile True:\n    print('on')\n    time.sleep(0.05)"


class TestPrograms:
    """boot.py and main.py, which run when a board starts."""

    def test_boot_and_main_run_at_a_start(self):
        faults = Faults(boot="x = 1\nprint('boot')", main="y = x + 1\nprint('main')")
        with running(faults=faults, raw=False) as (_, host):
            host.serial.write(b"\r\x03\x04")
            host.until(b"MPY: soft reboot\r\n")
            assert host.until(b">>> ").startswith(b"boot\nmain\nMicroPython")
            host.enter_raw_repl(soft_reset=False)
            assert host.eval("(x, y)") == (1, 2)

    def test_a_soft_reset_in_the_raw_repl_runs_boot_only(self):
        with running(faults=Faults(boot="x = 1\nprint('boot')", main="y = 2")) as (_, host):
            host.until(b">")
            host.serial.write(b"\x04")
            assert host.until(BANNER) == b"OK\r\nMPY: soft reboot\r\nboot\n" + BANNER
            host.serial.write(b"\r\x01")
            host.until(BANNER[:-1])
            assert host.say("print(x, 'y' in globals())") == "1 False"

    def test_a_boot_that_goes_on_is_interrupted_before_the_raw_repl(self):
        with running(faults=Faults(boot=LOOP)) as (_, host):
            host.until(b">")
            host.serial.write(b"\x04")
            host.until(b"on\non\n")
            host.serial.write(b"\r\x03\x03")
            said = host.until(BANNER)
            assert b'Traceback (most recent call last):\n  File "boot.py", line ' in said
            assert said.endswith(b"KeyboardInterrupt: \n" + BANNER)
            assert b"sim_boot" not in said
            host.serial.write(b"\r\x01")
            host.until(BANNER[:-1])
            assert host.say("print(2)") == "2"

    def test_main_does_not_run_after_an_interrupted_boot(self):
        with running(faults=Faults(boot=LOOP, main="print('main')"), raw=False) as (_, host):
            host.until(b"on\n")
            host.serial.write(b"\x03")
            assert b"main" not in host.until(b">>> ")

    def test_a_boot_that_fails(self):
        with running(faults=Faults(boot="1 / 0")) as (_, host):
            host.until(b">")
            host.serial.write(b"\x04")
            assert b"ZeroDivisionError: divide by zero\n" + BANNER in host.until(BANNER)

    def test_input_waits_for_the_end_of_boot(self):
        with running(faults=Faults(boot="import time\ntime.sleep(0.3)")) as (_, host):
            host.until(b">")
            host.serial.write(b"\x04")
            host.until(b"soft reboot\r\n")
            host.serial.write(b"print(3)\x04")
            assert host.until(b"\x04>") == BANNER + b"OK3\n\x04\x04>"


class TestMachine:
    def test_a_watchdog_resets_the_board_and_outlives_a_soft_reset(self):
        with running(faults=Faults(main="import machine\nmachine.WDT(timeout=1000)")) as (_, host):
            host.say("import machine\ndog = machine.WDT(timeout=800)")
            host.until(b">")
            host.serial.write(b"\x04")
            host.until(BANNER)  # boot.py is not there, and main.py does not run
            assert b"MPY: soft reboot" not in host.until(b">>> ")

    def test_a_watchdog_that_is_fed_lets_the_board_run(self):
        with running() as (_, host):
            assert host.say("""
                import machine, time
                dog = machine.WDT(timeout=500)
                for n in range(20):
                    time.sleep(0.05)
                    dog.feed()
                print("runs")
            """) == "runs"  # fmt: skip

    def test_reset(self):
        with running() as (_, host):
            host.say("x = 1")
            host.exec_raw_no_follow("import machine\nmachine.reset()")
            assert b"MPY: soft reboot" not in host.until(b">>> ")
            host.serial.write(b"\x04")
            assert b"MPY: soft reboot" in host.until(b">>> ")

    @pytest.mark.parametrize(
        ("start", "hangs"),
        [
            ("import hello\nt = machine.Timer(callback=hello.hi, period=100)", True),
            ("import hello\nt = machine.Timer(0)\nt.init(period=100, callback=lambda t: hello.hi())", True),
            ("t = machine.Timer(callback=lambda t: None, period=100)", False),
            ("import hello\nt = machine.Timer(callback=hello.hi, period=100)\nt.deinit()", False),
        ],
    )
    def test_an_erase_under_a_timer_that_runs_code_from_rom_hangs(self, start, hangs, image, tmp_path):
        file = tmp_path / "rom.bin"
        file.write_bytes(image.read_bytes().ljust(65536, b"\xff"))
        with running(f"{file}?size=64K") as (board, host):
            host.exec_raw_no_follow(
                f"import machine, vfs\n{start}\nprint('go')\nvfs.rom_ioctl(2, 0).ioctl(6, 0)\nprint('done')"
            )
            host.until(b"go\n")
            if hangs:
                host.serial.write(b"\x03")
                host.serial.timeout = 0.4
                assert host.serial.read(5) == b""
                host.serial.timeout = 5
                assert board.file.read_bytes().startswith(image.read_bytes())
                board.reset()
                host.until(b">>> ")
            else:
                assert host.until(b"\x04\x04>") == b"done\n\x04\x04>"


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
