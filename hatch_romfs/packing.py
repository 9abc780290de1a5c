"""A tree and its settings to an image of either format, which is laid out at once and made when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.formats.sharing import equal_files, hard_links, strictest
from hatch_romfs.settings.kinds import Alignment
from hatch_romfs.settings.patterns import compiled
from hatch_romfs.tree import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hatch_romfs.settings.model import Nested, Settings
    from hatch_romfs.tree import Directory

# Only the format, and only the boards, that are asked for are imported.
# ruff: noqa: PLC0415


class Packed(NamedTuple):
    """An image of ``size`` bytes, which is also what a file of another image holds; ``make`` yields its bytes.

    Where it begins on ``boundary``, in bytes, those of its files hold.
    """

    size: int
    make: Callable[[], Iterator[bytes | memoryview]]
    boundary: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the image's bytes in order; raises BuildError when a file is no longer what was collected."""
        return self.make()


def micropython(
    tree: Directory, settings: Settings | Nested, name: str | None, version: str | None, boundaries: Mapping[str, int]
) -> Packed:
    """Lay out an image of MicroPython's ROMFS; ``boundaries`` are those of single files, beside the settings'."""
    from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
    from hatch_romfs.formats.micropython.metadata import Metadata
    from hatch_romfs.formats.micropython.writer import image_chunks

    layout = lay_out(
        tree,
        align=_align(settings.alignment, boundaries),
        same=equal_files(tree, smallest=SHARED_FROM) if settings.share else {},
        metadata=Metadata(name, version) if settings.metadata else None,
    )
    return Packed(layout.size, lambda: image_chunks(layout), layout.boundary)


def linux(tree: Directory, settings: Settings, name: str | None, boundaries: Mapping[str, int]) -> Packed:
    """Lay out an image of Linux's romfs."""
    from hatch_romfs.formats.linux.layout import lay_out
    from hatch_romfs.formats.linux.writer import image_chunks

    same = hard_links(tree) | (equal_files(tree, smallest=1) if settings.share else {})
    align = _align(settings.alignment, boundaries)
    aligns = strictest(tree, align, same) if boundaries or settings.alignment != Alignment() else {}
    volume = settings.linux.volume or name or "rom"
    layout = lay_out(tree, volume, align=lambda path, _: aligns.get(path, 1), same=same)
    return Packed(layout.padded, lambda: image_chunks(layout), max(aligns.values(), default=1))


def alignment_of(alignment: Alignment) -> Callable[[str], int]:
    """Return what gives for a path its boundary: the strictest of the patterns that match, else the default."""
    patterns = [(compiled([pattern]), boundary) for pattern, boundary in alignment.patterns]

    def align(path: str) -> int:
        asked = [boundary for pattern, boundary in patterns if pattern(path)]
        return max(asked, default=alignment.default)

    return align


def _align(alignment: Alignment, boundaries: Mapping[str, int]) -> Callable[[str], int]:
    align = alignment_of(alignment)
    return (lambda path: max(align(path), boundaries.get(path, 1))) if boundaries else align


def unmatched(alignment: Alignment, board: str | None, tree: Directory) -> list[str]:
    """Return a warning for each pattern that no file matches: that boundary is kept by nothing.

    What is known of the board is for files that not every image has.
    """
    known: dict[str, int] = {}
    if board and alignment.patterns:
        from hatch_romfs.settings.boards import boards

        known = boards()[board].alignment
    patterns = [pattern for pattern, boundary in alignment.patterns if known.get(pattern) != boundary]
    paths = [path for path, _ in files(tree)] if patterns else []
    return [
        f"no file of the image matches the pattern {pattern!r} of tool.romfs.alignment"
        for pattern in patterns
        if not any(map(compiled([pattern]), paths))
    ]
