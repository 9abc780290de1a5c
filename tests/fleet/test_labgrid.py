"""labgrid with its own coordinator, exporter, and ser2net, in an environment of its own: it replaces pyserial."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import judges
from tests.board.boards import held, image_bytes, options, put
from tests.board.faulty import FaultyBoard

EXPORTER = """\
{name}:
  RawSerialPort:
    port: {port}
"""
ENVIRONMENT = """\
targets:
  main:
    resources:
      RemotePlace:
        name: {name}
    drivers:
      RomfsDriver:
        image: app
      RomfsStrategy: {{}}
images:
  app: app.romfs
imports:
  - hatch_romfs.labgrid
"""
TESTS = """
import pytest
from hatch_romfs import VerifyError

def test_board(strategy, target):
    driver = target.get_driver("RomfsDriver")
    assert "Simulated board" in driver.query().machine
    with pytest.raises(VerifyError):
        driver.verify()
    target.deactivate(driver)
    strategy.transition("flashed")
    target.activate(driver)
    assert driver.verify().machine == driver.query().machine
    assert driver.flash().plan.writes == 0
"""


@pytest.fixture(scope="module")
def lab_python(wheelhouse, tmp_path_factory):
    """Return a Python with labgrid and this package; whichever files of pyserial were installed last are used."""
    if sys.platform != "linux":
        pytest.skip("labgrid's exporter runs on Linux")
    judges.command("ser2net")
    folder = tmp_path_factory.mktemp("labgrid") / "venv"
    uv = judges.command("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin/python"
    wheel = next(wheelhouse.glob("*.whl"))
    done = subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, f"hatch-romfs[labgrid] @ {wheel.as_uri()}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        judges.missing(f"labgrid ({done.stderr.strip()[-200:]})")
    return python


def reinstall(python, package):
    subprocess.run(
        [judges.command("uv"), "pip", "install", "--quiet", "--python", python, "--no-deps", "--reinstall", package],
        check=True,
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Lab:
    """A coordinator, and an exporter with a place for each board."""

    def __init__(self, python, folder, stack):
        self.folder, self.bin = folder, python.parent
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}:/usr/sbin"}
        self.environment["LG_COORDINATOR"] = self.address
        self.stack = stack

    def start(self, *command):
        log = self.stack.enter_context((self.folder / f"{command[0]}.log").open("wb"))
        process = subprocess.Popen(
            [self.bin / command[0], *command[1:]], cwd=self.folder, env=self.environment, stdout=log, stderr=log
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process

    def client(self, *arguments, status=0):
        done = subprocess.run(
            [self.bin / "labgrid-client", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, text, *arguments):
        deadline = time.monotonic() + 60
        while text not in (shown := self.client(*arguments, status=None)):
            assert time.monotonic() < deadline, shown + "".join(log.read_text() for log in self.folder.glob("*.log"))
            time.sleep(0.2)


@pytest.fixture
def lab(lab_python, tmp_path):
    with ExitStack() as stack:
        boards = {
            name: stack.enter_context(FaultyBoard(options(port)))
            for name, port in (("north", "rp2"), ("south", "stm32"))
        }
        lab = Lab(lab_python, tmp_path, stack)
        ports = {name: Path(board.port).resolve() for name, board in boards.items()}  # labgrid wants names in /dev
        exported = "".join(EXPORTER.format(name=name, port=port) for name, port in ports.items())
        (tmp_path / "exporter.yaml").write_text(exported, encoding="utf-8")
        lab.start("labgrid-coordinator", "-l", lab.address)
        lab.wait_for("", "places")
        lab.start("labgrid-exporter", "-n", "lab", "--hostname", "127.0.0.1", "exporter.yaml")
        for name in boards:
            lab.wait_for(f"lab/{name}/NetworkSerialPort", "resources")
            lab.client("-p", name, "create")
            lab.client("-p", name, "add-match", f"lab/{name}/NetworkSerialPort")
            lab.client("-p", name, "acquire")
            (tmp_path / f"{name}.yaml").write_text(ENVIRONMENT.format(name=name), encoding="utf-8")
        put(tmp_path / "app.romfs", image_bytes(5000))
        yield lab, boards


def test_two_places_are_written_by_the_client_and_in_a_pytest_run(lab, lab_python):
    lab, boards = lab
    # With the state of a strategy, the client brings the board there before it does anything else.
    exporting = lab.start("labgrid-client", "-c", "south.yaml", "-s", "flashed", "export", "exported")
    deadline = time.monotonic() + 90
    while not (lab.folder / "exported").exists() and exporting.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert held(boards["south"]).startswith(image_bytes(5000)), (lab.folder / "labgrid-client.log").read_text()
    (lab.folder / "test_board.py").write_text(TESTS, encoding="utf-8")
    for number, package in enumerate(("pyserial", "pyserial-labgrid")):
        reinstall(lab_python, package)
        put(lab.folder / "app.romfs", image_bytes(5000 + 2 * number, number))
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--lg-env", "north.yaml", "test_board.py"]
        done = subprocess.run(
            [lab_python, *command],
            cwd=lab.folder,
            env=lab.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
        assert held(boards["north"]).startswith(image_bytes(5000 + 2 * number, number))
