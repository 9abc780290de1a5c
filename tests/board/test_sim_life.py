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
