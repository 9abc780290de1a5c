"""Images that this computer has written to boards or found on them: only known content can be copied on a board.

Images are kept in the user's cache by the SHA-256 of their first bytes, which a board reports. The cache is not
trusted: the board's own hashes decide whether it has an image.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.agent import range_hash
from hatch_romfs.board.hashes import HASHES, fast_algorithm
from hatch_romfs.board.probe import HEAD
from hatch_romfs.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_romfs.board.plan import Block
    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.repl import RawRepl

FOLDER: Final = "flashed"
"""The name of the cache."""
MOST_IMAGES: Final = 16
"""The largest number of images that are kept; the oldest are removed."""
MOST_BYTES: Final = 64 << 20
"""The largest number of bytes of all images that are kept."""


def find_old_image(
    repl: RawRepl, board: Board, partition: Partition, there: Sequence[Block], compared: int
) -> bytes | None:
    """Return the image that a partition contains, if this computer knows it.

    ``there`` is the state of the blocks of the partition's first ``compared`` bytes.
    """
    how = fast_algorithm(board)
    if partition.image_size is None or how == "bytes":
        return None
    image = Cache.of_user(FOLDER).get(_name(partition.head[: partition.image_size]))
    if image is None or len(image) != partition.image_size:
        return None
    hash_of, block = HASHES[how], partition.geometry.block
    whole = min(len(image), compared) // block
    if any(hash_of(image[n * block : (n + 1) * block]) != there[n].digest for n in range(whole)):
        return None
    rest = image[whole * block :]
    return image if range_hash(repl, how, whole * block, len(rest)) == hash_of(rest) else None


def remember(image: bytes) -> None:
    """Keep an image that a board has now."""
    cache = Cache.of_user(FOLDER)
    cache.put(_name(image), image)
    cache.trim(MOST_IMAGES, MOST_BYTES)


def _name(start: bytes) -> str:
    return hashlib.sha256(start[:HEAD]).hexdigest()
