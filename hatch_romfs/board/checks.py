"""What must be right before anything is erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.compile.header import read_header
from hatch_romfs.errors import BoardError, SettingsError
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.boards import BoardFacts

_ARMV7 = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
_NAMED = 5


def choose_partition(board: Board, number: int) -> Partition:
    """Return a partition of the board; raises BoardError where it has none, SettingsError for a wrong number."""
    if board.partitions is None:
        raise BoardError(
            f"the firmware of {board.machine} (MicroPython {board.version}) has no ROMFS",
            hint="ROMFS needs MicroPython 1.25 or newer, built with it; install firmware that has it.",
        )
    if not board.partitions:
        raise BoardError(
            f"{board.machine} has ROMFS, but no partition for it",
            hint="A partition is reserved when the firmware is built; for rp2 and esp32 a build must set its size.",
        )
    if not 0 <= number < len(board.partitions):
        raise SettingsError(f"{board.machine} has partitions 0 to {len(board.partitions) - 1}, not {number}")
    return board.partitions[number]


def unlike(board: Board, known: BoardFacts) -> list[str]:
    """Return in what a board is not what boards of a name are known to be; its firmware may be of another make.

    What a board calls itself is not its name here, but it says which chip it has.
    """
    found = board.partitions or ()
    differing = []
    if known.mcu and known.mcu not in board.machine:
        differing.append(f"it calls itself {board.machine!r}, without {known.mcu}")
    if known.arch and board.arch and not _runs(known.arch, board.arch):
        differing.append(f"it runs {board.arch} code, not {known.arch}")
    if len(found) != len(known.partitions):
        differing.append(f"the number of its partitions is {len(found)}, not {len(known.partitions)}")
    for partition, size in zip(found, known.sizes, strict=False):
        if size not in (None, partition.geometry.size):
            differing.append(f"its partition {partition.number} has {partition.geometry.size:,} bytes, not {size:,}")
    return differing


def check_writable(board: Board, partition: Partition) -> None:
    """Raise BoardError where the partition cannot be written."""
    if partition.geometry.erasing == "never":
        raise BoardError(
            f"partition {partition.number} of {board.machine} is read-only",
            hint="This port cannot write its ROMFS from within; the image goes in with the firmware.",
        )


def check_fits(size: int, partition: Partition) -> None:
    """Raise BoardError where an image of ``size`` bytes is too large."""
    over = size - partition.geometry.size
    if over > 0:
        raise BoardError(
            f"the image is {size:,} bytes, {over:,} more than partition {partition.number} holds"
            f" ({partition.geometry.size:,})",
            hint="Leave files out, or set tool.romfs.size to find that out when building.",
        )


def check_code(image: Image, board: Board) -> None:
    """Raise BoardError where the image has ``.mpy`` files that this firmware refuses; the force option skips this."""
    if not board.mpy:
        return
    version, sub_version = board.mpy_version
    wrong = []
    for path, file in files(image.root):
        if not path.endswith(".mpy"):
            continue
        header = read_header(bytes(next(iter(file.content.chunks()), b"")[:4]))
        if header is None:
            wrong.append(f"{path} is no .mpy file")
        elif header.version != version:
            wrong.append(f"{path} is .mpy version {header.version}, the board loads {version}")
        elif header.arch is not None and (header.sub_version != sub_version or not _runs(header.arch, board.arch)):
            code = f"{header.arch} code of version {header.version}.{header.sub_version}"
            wrong.append(f"{path} is {code}, the board runs {board.arch or 'none'} of {version}.{sub_version}")
    if wrong:
        more = f"\n(and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        raise BoardError(
            "\n".join(wrong[:_NAMED]) + more,
            hint="Set tool.romfs.mpy.micropython and .arch for this board, or write it all the same with --force.",
        )


def _runs(arch: str, board: str | None) -> bool:
    """Say whether a board runs code of an architecture: each Cortex-M also runs that of the ones below it."""
    if arch in _ARMV7 and board in _ARMV7:
        return _ARMV7.index(arch) <= _ARMV7.index(board)
    return arch == board
