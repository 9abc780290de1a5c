"""Checks of a board and an image before anything is erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.compile.header import HEADER_SIZE, flag_names, read_header
from hatch_romfs.errors import BoardError, SettingsError
from hatch_romfs.settings.ports import ROMFS_SETTINGS, WITHOUT_ROMFS, port_of_platform
from hatch_romfs.settings.values import FLAGS_ARCH
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.compile.header import MpyHeader
    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.boards import BoardFacts

_ARMV7 = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
_NAMED = 5


def check_format(image: Image, shown: object) -> None:
    """Raise BoardError unless boards can mount the image."""
    if image.format != "micropython":
        raise BoardError(f"{shown} is not a MicroPython image", hint="Boards do not mount Linux romfs.")


def choose_partition(board: Board, number: int) -> Partition:
    """Return a partition of the board; raises BoardError where it has none, SettingsError for a wrong number."""
    if board.partitions is None:
        raise BoardError(
            f"the firmware of {board.machine} (MicroPython {board.version}) has no ROMFS",
            hint=_romfs_hint(board, "ROMFS needs MicroPython 1.25 or newer, built with it"),
        )
    if not board.partitions:
        raise BoardError(
            f"{board.machine} has ROMFS, but no partition for it",
            hint=_romfs_hint(board, "A partition is reserved when the firmware is built"),
        )
    if not 0 <= number < len(board.partitions):
        last = len(board.partitions) - 1
        there = f"partitions 0 to {last}" if last else "only partition 0"
        raise SettingsError(f"{board.machine} has {there}, not partition {number}")
    partition = board.partitions[number]
    if partition.problem:
        raise BoardError(
            f"partition {number} of {board.machine} cannot be used: {partition.problem}",
            hint="Its firmware describes it so. 'romfs-flash --query' lists all partitions.",
        )
    return partition


def _romfs_hint(board: Board, reason: str) -> list[str]:
    """Return what to do about firmware without a ROMFS partition."""
    port = port_of_platform(board.platform)
    advice = "install firmware that has one" if port is None else f"for {port}, {ROMFS_SETTINGS[port]}"
    return [f"{reason}: {advice}.", f"{WITHOUT_ROMFS}."]


def list_differences(board: Board, facts: BoardFacts, *, with_partitions: bool = True) -> list[str]:
    """Return how a board differs from what is known about boards of a name; its firmware may come from elsewhere.

    A board does not report that name, but its description contains the name of its chip.
    """
    found = board.partitions or ()
    differences = []
    if facts.mcu and facts.mcu not in board.machine:
        differences.append(f"it reports {board.machine!r}, which does not contain {facts.mcu}")
    if facts.arch and board.arch and not _runs(facts.arch, board.arch):
        differences.append(f"it runs {board.arch} code, not {facts.arch}")
    if not with_partitions:
        return differences
    if len(found) != len(facts.partitions):
        differences.append(f"it has {len(found)} partitions, not {len(facts.partitions)}")
    for partition, size in zip(found, facts.sizes, strict=False):
        if size not in (None, partition.geometry.size):
            differences.append(f"its partition {partition.number} has {partition.geometry.size:,} bytes, not {size:,}")
    return differences


def describe_differences(board: Board, name: str, *, with_partitions: bool = True) -> str | None:
    """Return how a board differs from the known board ``name`` in a sentence, or None."""
    from hatch_romfs.settings.boards import boards  # noqa: PLC0415 - only projects name a board

    differences = list_differences(board, boards()[name], with_partitions=with_partitions)
    return f"the connected board may not be an {name}: {'; '.join(differences)}" if differences else None


def check_writable(board: Board, partition: Partition) -> None:
    """Raise BoardError where the partition cannot be written."""
    if partition.geometry.erasing == "never":
        raise BoardError(
            f"partition {partition.number} of {board.machine} is read-only",
            hint="This port cannot write its ROMFS from within; the image goes in with the firmware.",
        )


def check_fits(size: int, partition: Partition) -> None:
    """Raise BoardError where an image of ``size`` bytes is too large."""
    usable = partition.geometry.size - partition.geometry.size % partition.geometry.unit
    over = size - usable
    if over > 0:
        raise BoardError(
            f"the image is {size:,} bytes, {over:,} more than partition {partition.number} holds ({usable:,})",
            hint="Leave files out, or set tool.romfs.size to find that out when building.",
        )


def check_code(image: Image, board: Board) -> None:
    """Raise BoardError where the image has ``.mpy`` files that this firmware refuses; the force option skips this."""
    if not board.mpy:
        return
    wrong = []
    keys = "micropython and .arch"
    for path, file in files(image.root):
        if not path.endswith(".mpy"):
            continue
        header = read_header(bytes(next(iter(file.content.chunks()), b"")[:HEADER_SIZE]))
        problem = "is not a .mpy file" if header is None else _header_problem(header, board)
        if header is not None and problem is None:
            problem = _flags_problem(header, board)
            if problem is not None:
                keys = "micropython, .arch and .arch-flags"
        if problem is not None:
            wrong.append(f"{path} {problem}")
    if wrong:
        if len(wrong) > _NAMED:
            wrong[_NAMED:] = [f"(and {len(wrong) - _NAMED} more)"]
        raise BoardError(
            wrong,
            hint=f"Set tool.romfs.mpy.{keys} for this board, or write it all the same with --force.",
        )


def _header_problem(header: MpyHeader, board: Board) -> str | None:
    """Return why the board cannot load code of this version and architecture, or None."""
    version, sub_version = board.mpy_version
    if header.version != version:
        return f"is .mpy version {header.version}, the board loads {version}"
    if header.arch is not None and (header.sub_version != sub_version or not _runs(header.arch, board.arch)):
        code = f"{header.arch} code of version {header.version}.{header.sub_version}"
        return f"is {code}, the board runs {board.arch or 'none'} of {version}.{sub_version}"
    return None


def _flags_problem(header: MpyHeader, board: Board) -> str | None:
    """Return which architecture flags the board lacks, or None.

    Firmware for other architectures, and any before 1.27, refuses every file that has flags, bytecode too.
    """
    if header.flags is None:
        return None
    if board.arch != FLAGS_ARCH:
        return f"needs {FLAGS_ARCH} with {flag_names(header.flags)}, the board runs {board.arch or 'none'}"
    supported = board.mpy >> 16
    if header.flags & ~supported:
        return f"needs {FLAGS_ARCH} with {flag_names(header.flags)}, the board has {flag_names(supported)}"
    return None


def _runs(arch: str, board: str | None) -> bool:
    """Say whether a board runs code of an architecture: each Cortex-M also runs that of the ones below it."""
    if arch in _ARMV7 and board in _ARMV7:
        return _ARMV7.index(arch) <= _ARMV7.index(board)
    return arch == board
