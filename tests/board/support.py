"""Images for boards, and what a partition holds according to the judges."""

import random
from pathlib import Path
from typing import Any

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.micropython.image import RomImage
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.sim.board import SimOptions
from tests import judges
from tests.trees import tree

FAMILIES = ("rp2", "stm32", "esp8266", "alif")
SIZE = 64 << 10


def make_image(path: Path, size: int, seed: int = 1, *, changed: bytes = b"") -> Path:
    """Write an image of exactly ``size`` bytes; ``changed`` differs in its middle only."""
    data = random.Random(seed).randbytes(size)  # noqa: S311 - for nothing secret
    at = size // 2
    for cut in range(130, 190):
        body = data[: size - cut]
        body = body[:at] + changed + body[at + len(changed) :]
        root = tree({"a.bin": body, "m.py": b"who = 'rom'\n"})
        image = b"".join(image_chunks(lay_out(root, metadata=Metadata("app", "1.0"))))
        if len(image) == size:
            path.write_bytes(image)
            return path
    raise AssertionError(f"no image has {size} bytes")


def options(family: str, file: Path | None = None, **more: int) -> SimOptions:
    given: dict[str, Any] = {"size": SIZE} | more
    return SimOptions(file=file, port=family, **given)


def is_broken(partition: bytes, *whole: bytes) -> bool:
    """Say whether a partition mounts, by the real VfsRom's rules, without holding one of the images whole."""
    if any(partition.startswith(image) for image in whole):
        return False
    return mounts(partition)


def mounts(partition: bytes) -> bool:
    """Ask the driver's own checks: the magic, and a length that stays in the partition."""
    if partition[:3] != b"\xd2\xcd\x31":
        return False
    length, at = 0, 3
    while at < len(partition):
        length, more = length << 7 | partition[at] & 0x7F, partition[at] & 0x80
        at += 1
        if not more:
            return at + length <= len(partition)
    return False


def real_vfsrom_mounts(path: Path) -> bool:
    code = f"{judges.LIST}\ntry:\n vfs.VfsRom(load({str(path)!a}))\n print(1)\nexcept OSError:\n print(0)"
    return judges.micropython(code).strip() == "1"


def strict_reader_takes(partition: bytes) -> bool:
    try:
        with RomImage(partition.rstrip(b"\xff") + b"\xff" * 64) as image:
            image.check()
    except ImageError:
        return False
    return True
