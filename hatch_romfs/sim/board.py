"""The simulated board: a real MicroPython with a ROMFS partition, behind a port that any serial program can open.

Its partition is a file and keeps the rules of flash: an erase sets whole blocks to 0xff, a write clears bits, and a
write in the wrong unit or over bytes that are not erased is refused and noted in ``FILE.violations``. Every change
is in the file at once, so that the end of the process at any moment leaves what a power cut would leave.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.sim.relay import READY, Relay
from romfs_manifest.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Family:
    """How the ports of a family show their partition, and their usual erase block and write unit in bytes."""

    shape: str
    block: int
    unit: int


FAMILIES: Final = {
    **dict.fromkeys(("rp2", "esp32", "mimxrt", "nrf", "samd"), Family("object", 4096, 256)),
    "stm32": Family("ranged", 4096, 4),
    "esp8266": Family("whole", 4096, 4),
    "renesas-ra": Family("whole", 4096, 4),
    "alif": Family("mram", 16, 16),
    "qemu": Family("read-only", 4096, 4),
    "none": Family("none", 4096, 4),  # firmware with ROMFS, but no partition was reserved in it
    "no-romfs": Family("no-romfs", 4096, 4),
}
"""Families by the name of a port; BOARDS.md has the shapes."""

LARGEST: Final = 64 << 20
"""Bytes that a partition has at most: MicroPython keeps it in its heap."""

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20}
_SCHEME = "sim:"


@dataclass(frozen=True, slots=True)
class SimOptions:
    """What board to simulate; raises SettingsError, with all that is wrong, when it is made.

    ``file`` holds the partitions one after the other, None for a temporary one. ``size``, ``block`` (the erase block),
    ``unit`` (of writing) and ``ram`` (what is free for programs) are bytes; 0 for a block or unit is the family's own.
    """

    file: Path | None = None
    family: str = "rp2"
    size: int = 512 << 10
    block: int = 0
    unit: int = 0
    partitions: int = 1
    ram: int = 512 << 10
    machine: str = ""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            text = f"must be one of {', '.join(FAMILIES)}, not {self.family!r}{did_you_mean(self.family, FAMILIES)}"
            raise SettingsError([Problem("sim: family", text)])
        family = FAMILIES[self.family]
        object.__setattr__(self, "block", self.block or family.block)
        object.__setattr__(self, "unit", self.unit or family.unit)
        object.__setattr__(self, "machine", self.machine or f"Simulated board with {self.family}")
        wrong = {
            "block": self.block < 1 and "must be one byte or more",
            "unit": (self.unit < 1 or self.block % self.unit) and f"must divide the block, {self.block} bytes",
            "size": (not 0 < self.size <= LARGEST or self.size % self.block)
            and f"must be whole blocks of {self.block} bytes, at most {LARGEST >> 20} MiB, not {self.size} bytes",
            "partitions": not 1 <= self.partitions <= 8 and "must be 1 to 8; family 'none' has none",  # noqa: PLR2004
            "ram": not 8 << 10 <= self.ram <= LARGEST and f"must be 8 KiB to {LARGEST >> 20} MiB",
        }
        if problems := [Problem(f"sim: {key}", text) for key, text in wrong.items() if text]:
            raise SettingsError(problems)

    @property
    def shape(self) -> str:
        """The kind of ``vfs.rom_ioctl`` it has."""
        return FAMILIES[self.family].shape


def parse_sim_url(url: str) -> SimOptions:
    """Read ``sim:FILE?KEY=VALUE&…``: the keys are the fields of SimOptions, sizes are bytes or such as ``512K``.

    Raises SettingsError with everything that is wrong with it.
    """
    file, _, query = url.removeprefix(_SCHEME).partition("?")
    known = [field.name for field in fields(SimOptions) if field.name != "file"]
    given: dict[str, str | int] = {}
    problems: list[Problem] = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            problems.append(
                Problem(f"sim: {key}", f"unknown key; there are {', '.join(known)}{did_you_mean(key, known)}")
            )
        elif key in given:
            problems.append(Problem(f"sim: {key}", "given twice"))
        elif key in ("family", "machine"):
            given[key] = value
        elif (size := _size(value)) is not None:
            given[key] = size
        else:
            problems.append(Problem(f"sim: {key}", f"must be bytes, or such as 512K or 2MiB, not {value!r}"))
    if not url.startswith(_SCHEME):
        problems.append(Problem("sim", f"must start with {_SCHEME!r}, not {url!r}"))
    try:
        options = SimOptions(Path(file) if file else None, **given)  # type: ignore[arg-type]  # by the names above
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(
            problems,
            hint="Such as 'sim:', 'sim:rom.bin?family=rp2&size=512K' or 'sim:?family=stm32&block=128K&unit=16'.",
        )
    return options


def _size(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,12}) ?([a-z]*)", text.lower())
    return int(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None


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
            home = Path(tempfile.mkdtemp(prefix="romfs-sim-"))
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            self.file = (self.options.file or home / "rom.bin").absolute()
            (home / "root").mkdir()
            stack.enter_context(_flash_file(self.file, self.options.size * self.options.partitions))
            self._relay = self.make_relay(home / "root")
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

    def make_relay(self, root: Path) -> Relay:
        """Make what keeps it going; ``root`` becomes the folder that the board's programs see as ``/``."""
        return Relay(lambda raw: self.arguments(root, raw=raw), self.environment())

    def environment(self) -> dict[str, str]:
        """Return the environment of its MicroPython, which finds its own modules by it."""
        return {**os.environ, "MICROPYPATH": os.pathsep.join(map(str, self.folders))}

    def arguments(self, root: Path, *, raw: bool) -> list[str]:
        """Return MicroPython's arguments; the heap holds the partitions, the free memory, and what starting takes."""
        heap = (self.options.size * self.options.partitions + self.options.ram) * 33 // 32 + (256 << 10)
        call = f"__import__({self.start_module!a}).start({self.config(root, raw=raw)!a})"
        return ["-X", f"heapsize={heap}", "-i", "-c", call]

    def config(self, root: Path, *, raw: bool) -> dict[str, object]:
        """Return what the board's side is told; ``raw`` if this start is a soft reset in the raw REPL."""
        options = self.options
        return {
            "file": str(self.file),
            "root": str(root),
            "shape": options.shape,
            "size": options.size,
            "block": options.block,
            "unit": options.unit,
            "partitions": 0 if options.shape in ("none", "no-romfs") else options.partitions,
            "ram": options.ram,
            "machine": options.machine,
            "raw": raw,
            "ready": READY.decode(),
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
