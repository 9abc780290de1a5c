"""Commands as users run them, in processes of their own."""

import os
import pty
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests import judges


def romfs_image(*arguments: object, cwd: Path | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
    return finished([judges.command("romfs-image"), *arguments], cwd=cwd, status=status)


def finished(
    command: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run one of our commands, which must end with this status and never with a traceback."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def on_a_terminal(*arguments: object, columns: int = 100, status: int = 0) -> str:
    """Run the command with a terminal for its output, and return what that showed."""
    inside, outside = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [judges.command("romfs-image"), *map(str, arguments)], stdout=outside, stderr=outside, stdin=outside, env=env
    )
    os.close(outside)
    shown = b""
    while True:
        try:
            part = os.read(inside, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(inside)
    assert process.wait(30) == status
    return shown.decode()


def run(*command: object, cwd: Path, status: int = 0) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    return said


def wait_for(happened: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something has happened, and fail if it takes longer than even a busy machine needs."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unmeasured() -> dict[str, str]:
    """Return an environment in which coverage does not measure a process: it would import, open, and write files."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
