"""``romfs-flash --serve`` runs a simulated board for other programs."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import judges
from tests.board.hosts import need_linux


@pytest.fixture(autouse=True, scope="module")
def _linux():
    need_linux()


@contextmanager
def serving(folder, *options):
    """Run the command with ``folder`` for temporary files; yield it when it has printed its first line."""
    command = [judges.command("romfs-flash"), "--serve", "--port", "sim:?baud=460800&ring=256&size=64K", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_mpremote_uses_the_board_until_the_command_ends(number, status, tmp_path):
    with serving(tmp_path) as process:
        port = process.stdout.readline().strip()
        for number_of_run in range(2):  # what one program leaves, the next one finds
            code = f"open('/n', 'a').write('x'); print(len(open('/n').read()) == {number_of_run + 1})"
            done = subprocess.run(
                [judges.command("mpremote"), "connect", port, "resume", "exec", code],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == status
        assert list(tmp_path.iterdir()) == []


def test_json(tmp_path):
    with serving(tmp_path, "--json") as process:
        lines = [process.stdout.readline() for _ in range(3)]
        (port,) = json.loads("".join(lines)).values()
        assert Path(port).exists()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_only_a_simulated_board_can_be_served(romfs_flash):
    ran = romfs_flash("--serve", "--port", "/dev/ttyACM0")
    assert ran.status == 2
    assert ran.err.startswith("error: --serve runs a simulated board, and '/dev/ttyACM0' is not one\nName one, such as")
    ran = romfs_flash("--serve")
    assert ran.status == 2
    assert ran.err.startswith("error: --serve needs a simulated board\n")
    assert romfs_flash("--serve", "--port", "sim:?size=1").status == 2
