"""mpflash finds the backend by its entry point, in an environment of its own."""

import subprocess
import sys

import pytest

from tests import judges
from tests.board.boards import held, image_bytes, options, put
from tests.board.faulty import FaultyBoard

SCRIPT = """
import sys
from pathlib import Path
from mpflash.errors import MPFlashError
from mpflash.flash import flash_mcu
from mpflash.mpremoteboard import MPRemoteBoard
board = MPRemoteBoard(sys.argv[1])
try:
    print("flashed", flash_mcu(board, fw_file=Path(sys.argv[2])).serialport)
except MPFlashError as error:
    print("failed", error)
"""


@pytest.fixture(scope="module")
def mpflash_python(wheelhouse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpflash") / "venv"
    uv = judges.command("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin/python"
    wheel = next(wheelhouse.glob("*.whl"))
    command = [uv, "pip", "install", "--quiet", "--python", python, wheel, "mpflash>=1.29"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        judges.missing(f"mpflash ({done.stderr.strip()[-200:]})")
    return python


def test_mpflash_writes_an_image(mpflash_python, tmp_path):
    image = put(tmp_path / "app.romfs", image_bytes(5000))

    def run(port):
        command = [mpflash_python, "-c", SCRIPT, port, image]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with FaultyBoard(options("rp2")) as board:
        assert run(board.port).endswith(f"flashed {board.port}\n")
        assert held(board).startswith(image_bytes(5000))
    with FaultyBoard(options("qemu")) as board:
        assert "failed partition 0 of Simulated board with qemu is read-only" in run(board.port)
