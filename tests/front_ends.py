"""Every way to build the image of a project, called in one way: what it prints, its status, and the image."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hatchling import build as hatchling

from hatch_romfs import RomfsError, build_all
from hatch_romfs.cli import command, flash, image
from hatch_romfs.plugins.hatch import RomfsBuilder
from tests import judges

FORKING = """\
import os, sys
from hatch_romfs.builder import api
from hatch_romfs.plugins import setuptools as backend
for line in sys.stdin:
    what, root, log = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(root)
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if what == "wheel":
        backend.build_wheel("dist")
    else:
        sys.argv = ["setup.py", "bdist_romfs"]
        exec(open("setup.py").read(), {"__name__": "__main__", "__file__": "setup.py"})
    sys.exit()
"""
"""Builds with setuptools in children of a process that has imported it already, which takes most of the time."""


class Outcome(NamedTuple):
    """How a build ended: its exit status, everything it printed, and where the image is if there is one.

    Paths are relative to the project.
    """

    status: int
    said: str
    image: Path


class Setuptools:
    """A process that builds projects with setuptools."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def build(self, what: str, root: Path) -> tuple[int, str]:
        """Build the wheel with the backend, or run setup.py."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        log = root.parent / "setuptools.log"
        self._process.stdin.write(f"{what}\t{root}\t{log}\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return status, log.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()


setuptools = Setuptools()


@contextlib.contextmanager
def inside(root: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(before)


def in_process(root: Path, build: Callable[[], object]) -> tuple[int, str]:
    """Run a build in the folder of its project, and return its status and what it printed."""
    printed = io.StringIO()
    status = 0
    with inside(root), contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
        try:
            build()
        except RomfsError as error:
            status = error.status
            printed.write(f"{error}\n")
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return status, printed.getvalue()


def as_command(program: Callable[[list[str]], None], *arguments: str) -> Callable[[], object]:
    return lambda: sys.exit(command._status(program, arguments))


def warnings_of_api() -> None:
    for result in build_all().values():
        for warning in result.warnings:
            print(f"warning: {warning}")  # noqa: T201 - as the other ways do


def front_end(name: str, *arguments: object) -> Callable[[Path], tuple[int, str]]:
    def build(root: Path) -> tuple[int, str]:
        program = [sys.executable] if name == "python" else [judges.command(name)]
        done = subprocess.run(
            [*program, *map(str, arguments)], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
        )
        return done.returncode, done.stdout + done.stderr

    return build


IN_PROCESS: dict[str, Callable[[Path], tuple[int, str]]] = {
    "hatch_romfs.build": lambda root: in_process(root, warnings_of_api),
    "romfs-image build": lambda root: in_process(root, as_command(image.command, "build")),
    "romfs-flash": lambda root: in_process(
        root, as_command(flash.command, ".", "--force", "--port", f"sim:{root.parent / 'rom.bin'}?size=64K")
    ),
    "hatchling -t romfs": lambda root: in_process(root, lambda: list(RomfsBuilder(str(root)).build())),
    "hatchling.build": lambda root: in_process(root, lambda: hatchling.build_wheel("dist")),
    "setuptools": lambda root: setuptools.build("wheel", root),
    "setup.py": lambda root: setuptools.build("setup.py", root),
}
SUBPROCESS: dict[str, Callable[[Path], tuple[int, str]]] = {
    "hatch build": front_end("hatch", "build"),
    "python -m build": front_end("python", "-m", "build", "--wheel", "--no-isolation"),
    "uv build": front_end("uv", "build", "--wheel", "--no-build-isolation", "--python", sys.executable),
}
"""Real front ends, each in a process of its own, which takes seconds."""
WAYS = IN_PROCESS | SUBPROCESS
OWN_STATUS = {"python -m build": 1, "uv build": 2}
"""Front ends that end every failed build with a status of their own."""


def build_by(way: str, root: Path) -> Outcome:
    """Build a project named ``app`` in one of the ways."""
    status, said = WAYS[way](root)
    return Outcome(
        status,
        said.replace(f"{root}{os.sep}", ""),
        root.parent / "rom.bin" if way == "romfs-flash" else root / "dist/app.romfs",
    )
