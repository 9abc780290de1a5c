"""A tree and its settings to an image of either format: laid out at once, and its bytes made when they are asked for.

Nested images are packed first, and become files of the image around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.formats.sharing import equal_files, file_alignments, hard_links
from hatch_romfs.settings.layers import is_board_source
from hatch_romfs.settings.patterns import compile_patterns
from hatch_romfs.settings.values import MODEL_ALIGNMENT, is_model
from hatch_romfs.tree import File, NestedImage, files, nested_images, replace_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Nested
    from hatch_romfs.settings.values import Alignment
    from hatch_romfs.tree import Directory, Leaf

# Only the format that is needed is imported.
# ruff: noqa: PLC0415


class PackedImage(NamedTuple):
    """An image of ``size`` bytes, which can also be the content of a file in another image.

    If the image begins at a multiple of ``alignment`` bytes, its files are aligned as the settings ask. In ``tree``
    nested images are files. ``compact_size`` is what the size would be if every layout in the image were compact.
    """

    size: int
    alignment: int
    tree: Directory
    make: Callable[[], Iterator[bytes | memoryview]]
    compact_size: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the image's bytes in order; raises BuildError if a file has changed since it was collected."""
        return self.make()


def pack(tree: Directory, settings: Settings, name: str | None, version: str | None) -> PackedImage:
    """Lay out an image of ``tree``, in the format of the settings. Raises BuildError if the format cannot hold it."""
    if settings.format == "linux":
        return _pack_linux(_pack_nested(tree, name, version), settings, name)
    image = _pack_micropython(tree, settings, name, version)
    layouts = {settings.layout, *(nested.settings.layout for nested in nested_images(tree).values())}
    if layouts == {"compact"}:
        return image
    compact = _pack_micropython(tree, settings, name, version, compact=True)
    return image._replace(compact_size=compact.size)


def _pack_micropython(
    tree: Directory, settings: Settings | Nested, name: str | None, version: str | None, *, compact: bool = False
) -> PackedImage:
    """Pack a tree; ``compact`` outranks the layouts in the settings."""
    from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
    from hatch_romfs.formats.micropython.metadata import Metadata
    from hatch_romfs.formats.micropython.writer import image_chunks

    tree = _pack_nested(tree, name, version, compact=compact)
    layout = lay_out(
        tree,
        align=compile_alignment(settings.alignment),
        same=equal_files(tree, smallest=SHARED_FROM) if settings.share else {},
        metadata=Metadata(name, version) if settings.metadata else None,
        stable=settings.layout == "stable" and not compact,
    )
    return PackedImage(layout.size, layout.alignment, tree, lambda: image_chunks(layout), layout.size)


def _pack_linux(tree: Directory, settings: Settings, name: str | None) -> PackedImage:
    from hatch_romfs.formats.linux.layout import lay_out
    from hatch_romfs.formats.linux.writer import image_chunks

    same = hard_links(tree) | (equal_files(tree, smallest=1) if settings.share else {})
    alignments = file_alignments(tree, compile_alignment(settings.alignment), same)
    volume = settings.linux.volume or name or "rom"
    layout = lay_out(tree, volume, align=lambda path, _: alignments.get(path, 1), same=same)
    alignment = max(alignments.values(), default=1)
    return PackedImage(layout.padded, alignment, tree, lambda: image_chunks(layout), layout.padded)


def _pack_nested(tree: Directory, name: str | None, version: str | None, *, compact: bool = False) -> Directory:
    """Return the tree with each nested image as a file."""
    packed = {
        path: _pack_micropython(nested.tree, nested.settings, name, version, compact=compact)
        for path, nested in nested_images(tree).items()
    }
    if not packed:
        return tree

    def change(path: str, leaf_name: str, node: Leaf) -> tuple[str, Leaf]:
        if not isinstance(node, NestedImage):
            return leaf_name, node
        image = packed[path]
        return leaf_name, File(image, node.origin, source=node.source, alignment=image.alignment, layer=node.layer)

    return replace_leaves(tree, change)


def compile_alignment(alignment: Alignment) -> Callable[[str], int]:
    """Return a function from a path to its alignment: the largest of the patterns that match, else the default.

    A model that no pattern matches is aligned even if the default is less: it would mount, and fail when it is used.
    """
    patterns = [(compile_patterns([pattern]), size) for pattern, size in alignment.patterns]

    def align(path: str) -> int:
        least = max(alignment.default, MODEL_ALIGNMENT) if is_model(path) else alignment.default
        return max((size for matches, size in patterns if matches(path)), default=least)

    return align


def unused_patterns(tree: Directory, settings: Settings | Nested) -> Iterator[str]:
    """Yield a warning for each alignment pattern that matches no file; tree is the compiled one, not yet packed.

    The patterns of boards are for files that not every image has.
    """
    nested = nested_images(tree)
    for image in nested.values():
        yield from unused_patterns(image.tree, image.settings)
    paths: list[str] = []
    for pattern, _ in settings.alignment.patterns:
        source = settings.where("alignment", pattern)
        if is_board_source(source):
            continue
        paths = paths or [*nested, *(path for path, _ in files(tree))]
        if not any(map(compile_patterns([pattern]), paths)):
            yield f"no file in the image matches {source}"
