"""Code from an image, in a real MicroPython on this machine."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from hatch_romfs.errors import SettingsError
from hatch_romfs.images.run import run_image
from tests import judges
from tests.board.boards import coded, put
from tests.commands import romfs_image, wait_for


def test_run(image, tmp_path):
    assert romfs_image("run", image, "-c", "import app; print(app.greet())").stdout == "hello world\n"
    assert romfs_image("run", image, "-m", "app").stdout == ""
    assert "is not the name of a module" in romfs_image("run", image, "-m", "a b", status=2).stderr
    assert "a prompt needs a terminal" in romfs_image("run", image, status=2).stderr
    document = json.loads(romfs_image("run", image, "-c", "print(6 * 7)", "--json").stdout)
    assert document == {"status": 0, "output": "42\n"}


def test_run_imports_modules_only_from_the_image(image, tmp_path):
    (tmp_path / "app.py").write_text("print('from the working folder')")
    assert romfs_image("run", image, "-m", "app", cwd=tmp_path).stdout == ""


def test_a_prompt_on_a_terminal(image):
    inside, outside = pty.openpty()
    process = subprocess.Popen(
        [judges.command("romfs-image"), "run", image], stdout=outside, stderr=outside, stdin=outside
    )
    os.close(outside)
    deadline = time.monotonic() + 20

    def shown_until_the_prompt() -> bytes:  # what is typed before it is lost
        shown = b""
        while not shown.endswith(b">>> ") and time.monotonic() < deadline:
            shown += os.read(inside, 4096)
        return shown

    shown_until_the_prompt()
    os.write(inside, b"import app; app.greet()\r")
    assert b"hello world" in shown_until_the_prompt()
    os.write(inside, b"\x04")
    with contextlib.suppress(OSError):  # MicroPython does not end before all that it wrote was read
        while os.read(inside, 4096):
            pass
    assert process.wait(20) == 0
    os.close(inside)


@pytest.mark.parametrize(
    ("code", "status", "has_hint"),
    [
        ("import nope", 1, True),
        ("import old", 1, True),  # a .mpy file of another version
        ("1 / 0", 1, False),
        ("raise ValueError('no .py')", 1, False),
        ("import sys; sys.exit(7)", 7, False),
        ("import sys; sys.exit()", 0, False),
    ],
)
def test_run_ends_with_the_status_of_the_program(code, status, has_hint, tmp_path):
    image = put(tmp_path / "app.romfs", coded({"old.mpy": b"M\x05\0\x1f"}))
    said = romfs_image("run", image, "-c", code, status=status).stderr
    assert (f"error: the code from {image} ended with status {status}\n" in said) == bool(status)
    assert ("'romfs-image tree' lists the files of the image" in said) == has_hint


def test_a_failing_run_as_json_is_one_document(image):
    done = romfs_image("run", image, "-c", "import sys; print(1); sys.exit(7)", "--json", status=7)
    assert json.loads(done.stdout) == {"status": 7, "output": "1\n"}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_ends_a_run_with_status_130(options, image, tmp_path):
    started = tmp_path / "started"
    code = f"open({str(started)!a}, 'w').close()\nwhile True: pass"
    process = subprocess.Popen(
        [judges.command("romfs-image"), "run", image, "-c", code, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(started.exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("interrupted\n")
    if options:
        assert json.loads(out)["error"]["status"] == 130


def test_run_says_that_micropython_for_windows_cannot_mount_images(image, monkeypatch):
    monkeypatch.setattr("hatch_romfs.images.run.system", lambda: "Windows")
    with pytest.raises(SettingsError, match="Windows") as caught:
        run_image(image, image.stat().st_size, "print(1)")
    assert "WSL" in str(caught.value)
