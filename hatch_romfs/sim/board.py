"""The simulated board: a real MicroPython with a ROMFS partition, behind a port that any serial program can open.

Its partition is a file and keeps the rules of flash: an erase sets whole blocks to 0xff, a write clears bits, and a
write in the wrong unit or over bytes that are not erased is refused and noted in ``FILE.violations``. Every change
is in the file at once, so that the end of the process at any moment leaves what a power cut would leave.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import SettingsError
from hatch_romfs.sim.options import PORTS, SimOptions, parse_sim_url
from hatch_romfs.sim.relay import BOOTING, READY, Relay
from hatch_romfs.sim.wire import Wire
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["PORTS", "SimOptions", "SimulatedBoard", "parse_sim_url"]


class SimulatedBoard:
    """A board for as long as a ``with`` block: ``port`` is what to open, by pyserial or any other serial program."""

    start_module = "sim_boot"
    folders: tuple[Path, ...] = (Path(__file__).parent / "micropython",)
    """The module that MicroPython starts the board with, and where its imports are."""

    def __init__(self, options: SimOptions | None = None) -> None:
        self.options = options or SimOptions()
        self.file = Path()
        self._stack = ExitStack()
        self._relay: Relay | None = None

    @property
    def port(self) -> str:
        """The path of its serial port."""
        return self.relay.name

    @property
    def relay(self) -> Relay:
        """What keeps it going."""
        if self._relay is None:
            raise RuntimeError("the board has not been started")
        return self._relay

    @property
    def violations(self) -> Sequence[str]:
        """The rules of flash that were broken on its file, a line each."""
        notes = Path(f"{self.file}.violations")
        return notes.read_text().splitlines() if notes.exists() else ()

    def start(self) -> None:
        """Start it and wait until it is up.

        Raises SettingsError where it cannot run or the file cannot be its flash, and RomfsError if it does not come up.
        """
        _check_system()
        with ExitStack() as stack:
            home = stack.enter_context(TemporaryFolder())
            self.file = (self.options.file or home / "rom.bin").absolute()
            stack.enter_context(_flash_file(self.file, self.options.size * self.options.partitions))
            self._relay = self.make_relay(home, self._root(home))
            stack.callback(self._relay.close)
            self._relay.start()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """End it: its processes, its port and its temporary files are gone then."""
        self._stack.close()

    def reset(self) -> None:
        """Do what its reset button would; raises RomfsError if it does not come up."""
        self.relay.reset()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def make_relay(self, home: Path, root: Path) -> Relay:
        """Make what keeps it going; ``root`` becomes the folder that the board's programs see as ``/``."""
        return Relay(lambda raw: self.arguments(home, root, raw=raw), self.environment(), home, self.wire())

    def wire(self) -> Wire:
        """Return the properties of its serial line."""
        options = self.options
        return Wire(options.baud, options.ring, options.latency / 1000, options.vanish / 1000)

    def _root(self, home: Path) -> Path:
        """Return the folder of the board's files."""
        root = self.options.root
        if root is None:
            root = home / "root"
            root.mkdir()
        elif not root.is_dir():
            raise SettingsError(f"sim: root: {root} is not a folder")
        return root.absolute()

    def environment(self) -> dict[str, str]:
        """Return the environment of its MicroPython, which finds its own modules by it."""
        return {**os.environ, "MICROPYPATH": os.pathsep.join(map(str, self.folders))}

    def arguments(self, home: Path, root: Path, *, raw: bool) -> list[str]:
        """Return MicroPython's arguments; the heap holds the partitions, the free memory, and what starting takes."""
        heap = (self.options.size * self.options.partitions + self.options.ram) * 33 // 32 + (256 << 10)
        call = f"__import__({self.start_module!a}).start({self.config(home, root, raw=raw)!a})"
        return ["-X", f"heapsize={heap}", "-i", "-c", call]

    def config(self, home: Path, root: Path, *, raw: bool) -> dict[str, object]:
        """Return what the board's side is told; ``raw`` if this start is a soft reset in the raw REPL."""
        options = self.options
        microseconds = {name: int(getattr(options, name) * 1000) for name in ("gc", "erase", "program", "hash")}
        return {
            "file": str(self.file),
            "home": str(home),
            "root": str(root),
            "access": options.access,
            "platform": options.platform,
            "size": options.size,
            "block": options.block,
            "unit": options.unit,
            "real_block": options.real_block,
            "real_unit": options.real_unit,
            "programs": options.programs,
            "partitions": 0 if options.access in ("none", "no-romfs") else options.partitions,
            "unusable": dict(options.unusable),
            "durations": microseconds if any(microseconds.values()) else None,
            "ram": options.ram,
            "machine": options.machine,
            "unique_id": hashlib.sha256(os.fsencode(self.file)).hexdigest()[:16],  # stays as long as the flash does
            "raw": raw,
            "ready": READY.decode(),
            "booting": BOOTING.decode(),
        }


@contextmanager
def _flash_file(path: Path, size: int) -> Iterator[None]:
    """Make the file of the partitions if it is not there, and keep other boards from it."""
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise SettingsError(f"sim: cannot use {path} as the flash: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"sim: another simulated board runs with {path}") from None
        found = os.fstat(handle).st_size
        if not found:
            os.pwrite(handle, b"\xff" * size, 0)
        elif found != size:
            raise SettingsError(
                f"sim: {path} has {found} bytes, this board's flash has {size}",
                hint="Name the size that it was made with, or another file; an image is not the flash of a board.",
            )
        yield
    finally:
        os.close(handle)


def _check_system() -> None:
    """Raise SettingsError, with a way out, where there can be no simulated board."""
    if find_spec("termios") is None:
        raise SettingsError(
            "sim: the simulated board needs pseudo-terminals, which this system has not",
            hint="Use it on Linux or macOS, or on Windows in WSL; a real board works with --port COM5 or the like.",
        )
    if find_spec("micropython_module") is None:
        raise SettingsError(
            "sim: the simulated board needs MicroPython on this machine",
            hint='Install it: pip install "hatch-romfs[sim]"',
        )
