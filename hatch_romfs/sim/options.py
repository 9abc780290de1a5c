"""Which board to simulate: its port, its flash, its serial line, and how long its hardware takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.settings.values import read_size
from romfs_manifest.shared.suggest import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Port:
    """A port of MicroPython: how ``vfs.rom_ioctl`` gives access to a partition, and the usual flash.

    ``block`` is erased at once and ``unit`` written at once, in bytes. ``programs`` is what a second write does:
    "nor" clears more bits, "ecc" refuses it, "twice" allows two writes per word, and "overwrite" needs no erase.
    ``platform`` is ``sys.platform`` where it differs from the name of the port.
    """

    access: str
    block: int
    unit: int
    programs: str = "nor"
    platform: str = ""


PORTS: Final = {
    **dict.fromkeys(("rp2", "esp32", "mimxrt"), Port("object", 4096, 256)),
    "nrf": Port("object", 4096, 4, "twice"),
    "samd": Port("object", 4096, 256, "ecc"),
    "stm32": Port("ranged", 4096, 4, platform="pyboard"),
    "esp8266": Port("whole", 4096, 4),
    "renesas-ra": Port("whole", 4096, 4, "ecc"),
    "alif": Port("mram", 16, 16, "overwrite"),
    "qemu": Port("read-only", 4096, 4),
    "none": Port("none", 4096, 4, platform="rp2"),  # firmware with ROMFS, but without a partition
    "no-romfs": Port("no-romfs", 4096, 4, platform="rp2"),
}
"""The ports by name."""

LARGEST: Final = 64 << 20
"""The largest partition in bytes: MicroPython keeps it in its heap."""
LONGEST: Final = 60_000
"""The longest duration in milliseconds."""
UNUSABLE: Final = ("einval", "none", "raises", "empty")
"""What an unusable partition answers."""
NO_ECC_BELOW: Final = 16
"""Flash of stm32 and alif with a smaller unit is external NOR flash; internal flash has ECC (stm32) or is MRAM."""

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "": 1.0, "s": 1000.0}
_SCHEME = "sim:"
_OLD_NAMES = {"family": "port"}


@dataclass(frozen=True, slots=True)
class SimOptions:
    """A board to simulate. Raises SettingsError that lists every invalid option.

    ``file`` holds the partitions one after the other, and ``root`` the files of the board; None is temporary.

    Sizes are bytes. ``block`` and ``unit`` are what the firmware states, ``real_block`` and ``real_unit`` what the
    flash does; 0 is the usual value. ``ecc`` flash refuses a second write between erases; None is the usual kind.
    ``unusable`` pairs the number of a partition with one of UNUSABLE. ``ram`` is free for programs.

    ``baud`` paces the line, 0 does not. A ``ring`` of so many bytes drops what does not fit; 0 never drops anything.
    Durations are milliseconds: of ``gc.collect``, of an ``erase`` of one real block, to ``program`` 256 bytes, to
    ``hash`` 1 KiB with SHA-256. CRC-32 takes an eighth of ``hash``. Whatever the board sends arrives ``latency``
    later. The port disappears for ``vanish`` at every reset.
    """

    file: Path | None = None
    port: str = "rp2"
    size: int = 512 << 10
    block: int = 0
    unit: int = 0
    partitions: int = 1
    ram: int = 512 << 10
    machine: str = ""
    root: Path | None = None
    real_block: int = 0
    real_unit: int = 0
    ecc: bool | None = None
    unusable: tuple[tuple[int, str], ...] = ()
    baud: int = 0
    ring: int = 0
    gc: float = 0
    erase: float = 0
    program: float = 0
    hash: float = 0
    latency: float = 0
    vanish: float = 0

    def __post_init__(self) -> None:
        if self.port not in PORTS:
            text = f"must be one of {', '.join(PORTS)}, not {self.port!r}{did_you_mean(self.port, PORTS)}"
            raise SettingsError([Problem("sim: port", text)])
        usual = PORTS[self.port]
        unit = self.unit or usual.unit
        is_ospi = self.port == "alif" and unit < NO_ECC_BELOW
        block = self.block or (4096 if is_ospi else usual.block)
        for name, value in (
            ("block", block),
            ("unit", unit),
            ("real_block", self.real_block or block),
            ("real_unit", self.real_unit or unit),
            ("machine", self.machine or f"Simulated board with {self.port}"),
        ):
            object.__setattr__(self, name, value)
        if problems := list(self._problems()):
            raise SettingsError(problems)

    def _problems(self) -> Iterator[Problem]:
        block, unit, real = self.real_block, self.unit, self.real_unit
        wrong = {
            "block": self.block < 1 and "must be one byte or more",
            "unit": (unit < 1 or block % unit) and f"must divide the block, {block} bytes",
            "real-unit": unit > 0
            and (real < 1 or block % real or real % unit)
            and f"must be a multiple of the unit ({unit}) and divide the block ({block} bytes)",
            "size": (not 0 < self.size <= LARGEST or self.size % block)
            and f"must be whole blocks of {block} bytes, at most {LARGEST >> 20} MiB, not {self.size} bytes",
            "partitions": not 1 <= self.partitions <= 8 and "must be 1 to 8; port 'none' has none",  # noqa: PLR2004
            "ram": not 8 << 10 <= self.ram <= LARGEST and f"must be 8 KiB to {LARGEST >> 20} MiB",
            "baud": self.baud and not 300 <= self.baud <= 10_000_000 and "must be 300 to 10000000, or 0",  # noqa: PLR2004
            "ring": self.ring and not 16 <= self.ring <= 1 << 20 and "must be 16 bytes to 1 MiB, or 0",  # noqa: PLR2004
            "unusable": any(not 0 <= number < self.partitions for number, _ in self.unusable)
            and f"must name partitions 0 to {self.partitions - 1}",
            **{
                name: not 0 <= getattr(self, name) <= LONGEST and f"must be at most {LONGEST // 1000} seconds"
                for name in _DURATIONS
            },
        }
        return (Problem(f"sim: {key}", text) for key, text in wrong.items() if text)

    @property
    def access(self) -> str:
        """Which kind of ``vfs.rom_ioctl`` the board has: object, ranged, whole, mram, read-only, none, no-romfs."""
        if self.port == "alif" and self.unit < NO_ECC_BELOW:
            return "ranged"
        return PORTS[self.port].access

    @property
    def programs(self) -> str:
        """What a second write between erases does; see Port."""
        usual = PORTS[self.port].programs
        if self.ecc is not None and self.access != "mram":
            return "ecc" if self.ecc else "twice" if usual == "twice" else "nor"
        if self.access == "ranged":
            return "ecc" if self.unit >= NO_ECC_BELOW else "nor"
        return usual

    @property
    def platform(self) -> str:
        """The value of ``sys.platform``."""
        return PORTS[self.port].platform or self.port


_DURATIONS = ("gc", "erase", "program", "hash", "latency", "vanish")


def parse_sim_url(url: str) -> SimOptions:
    """Read ``sim:FILE?KEY=VALUE&…``, whose keys are the fields of SimOptions with dashes.

    Sizes are bytes or such as ``512K``, durations milliseconds or such as ``45ms`` or ``2s``. Raises SettingsError
    with everything that is wrong.
    """
    file, _, query = url.removeprefix(_SCHEME).partition("?")
    known = [field.name.replace("_", "-") for field in fields(SimOptions) if field.name != "file"]
    given: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in parse_qsl(query, keep_blank_values=True):
        key = _OLD_NAMES.get(name, name)
        if key not in known:
            near = closest(key, [*known, *_OLD_NAMES])
            suggestion = f"; did you mean {_OLD_NAMES.get(near, near)!r}?" if near else ""
            problems.append(Problem(f"sim: {key}", f"unknown key; there are {', '.join(known)}{suggestion}"))
            continue
        field = key.replace("-", "_")
        if field in given:
            problems.append(Problem(f"sim: {key}", "given twice"))
            continue
        read, expected = _READERS.get(field, (read_size, "bytes, or such as 512K or 2MiB"))
        given[field] = read(text)
        if given[field] is None:
            problems.append(Problem(f"sim: {key}", f"must be {expected}, not {text!r}"))
            del given[field]
    if not url.startswith(_SCHEME):
        problems.append(Problem("sim", f"must start with {_SCHEME!r}, not {url!r}"))
    try:
        options = SimOptions(Path(file) if file else None, **given)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(
            problems,
            hint="Such as 'sim:', 'sim:rom.bin?port=rp2&size=512K' or 'sim:?port=stm32&block=128K&baud=115200'.",
        )
    return options


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _duration(text: str) -> float | None:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(us|ms|s|)", text.lower())
    return float(match[1]) * _MILLISECONDS[match[2]] if match else None


def _yes_or_no(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text)


def _unusable(text: str) -> tuple[tuple[int, str], ...] | None:
    pairs = [re.fullmatch("([0-9]):([a-z]+)", pair) for pair in text.split(",")]
    found = tuple((int(pair[1]), pair[2]) for pair in pairs if pair and pair[2] in UNUSABLE)
    return found if len(found) == len(pairs) else None


_READERS: dict[str, tuple[Callable[[str], object], str]] = {
    "port": (str, "text"),
    "machine": (str, "text"),
    "root": (Path, "a folder"),
    "ecc": (_yes_or_no, "yes or no"),
    "unusable": (_unusable, f"such as 1:none; there are {', '.join(UNUSABLE)}"),
    "partitions": (_number, "a number"),
    "baud": (_number, "a number of bits per second"),
    **dict.fromkeys(_DURATIONS, (_duration, "milliseconds, or such as 45ms, 0.7ms or 2s")),
}
