"""How results look: trees on a terminal, plain lines in a pipe, documents for machines."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import is_quiet, print_line, say, tell, warn
from hatch_romfs.cli.nodes import place, suffix
from hatch_romfs.errors import ImageError
from hatch_romfs.events import ignore_progress
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.tree import Directory, File, Special, Symlink, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.builder.build import BuildResult
    from hatch_romfs.builder.c_files import CFiles
    from hatch_romfs.events import Report
    from hatch_romfs.formats.image import Image
    from hatch_romfs.tree import Node


def count(number: int, noun: str) -> str:
    """Return a number of things, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Report]:
    """Show progress bars on standard error if it is a terminal, unless ``quiet`` or with ``-q``."""
    if quiet or is_quiet() or not sys.stderr.isatty():
        yield ignore_progress
        return
    from hatch_romfs.cli.bars import progress_bars  # noqa: PLC0415 - a pipe needs none of it

    with progress_bars() as report:
        yield report


def result(built: BuildResult) -> None:
    """Print what was built, and the warnings on standard error."""
    for warning in built.warnings:
        warn(warning)
    if built.c_files:
        _c_files(built, built.c_files)
    else:
        share = f", {built.size / built.limit:.0%} of {built.limit:,}" if built.limit else ""
        say(f"{built.path}  {built.size:,} bytes{share}, {count(built.files, 'file')}, sha256 {built.sha256}")
    if built.layout_cost:
        part = built.layout_cost / (built.size - built.layout_cost)
        say(f"  stable layout: {built.layout_cost:,} bytes ({part:.1%}) more than a compact one")


def _c_files(built: BuildResult, written: CFiles) -> None:
    """Print what was written as C source."""
    array = written.array
    kind = f"{'const ' if array.const else ''}array {array.symbol} of {built.size:,} bytes"
    say(f"{built.path}  {written.size:,} bytes: {kind}, {count(built.files, 'file')}, image sha256 {built.sha256}")
    if written.header:
        say(f"{written.header}  declares {array.symbol} and {array.symbol}_len")


def excluded(built: BuildResult) -> None:
    """Print what built-in patterns excluded, on standard error."""
    for path in built.excluded:
        tell(f"excluded {path} (by a built-in pattern)")


def result_document(built: BuildResult) -> dict[str, object]:
    """Return what was built, for machines."""
    document: dict[str, object] = {
        "path": str(built.path),
        "size": built.size,
        "sha256": built.sha256,
        "files": built.files,
        "warnings": list(built.warnings),
        "inventory": built.inventory and str(built.inventory),
        "excluded": list(built.excluded),
        "layout_cost": built.layout_cost,
        "sbom": built.sbom and str(built.sbom),
    }
    if built.c_files:
        array, size, header = built.c_files
        parts = {"symbol": array.symbol, "section": array.section, "const": array.const}
        document["c"] = {**parts, "bytes": built.size, "source_size": size, "header": header and str(header)}
    return document


def info_document(image: Image) -> dict[str, object]:
    """Return what an image is."""
    nodes = [node for _, node in walk(image.root)]
    sizes = [node.size for node in nodes if isinstance(node, File)]
    try:
        image.check()
    except ImageError:
        matches = False
    else:
        matches = True
    return {
        "format": image.format,
        "name": image.name,
        "version": image.version,
        "content_sha256": image.content_sha256,
        "content_matches": None if image.content_sha256 is None else matches,
        "sha256": image.sha256(),
        "size": image.size,
        "files": len(sizes),
        "directories": sum(isinstance(node, Directory) for node in nodes),
        "links": sum(isinstance(node, Symlink) for node in nodes) or None,
        "special_files": sum(isinstance(node, Special) for node in nodes) or None,
        "bytes": sum(sizes),
    }


def fields(document: Mapping[str, object]) -> None:
    """Print one line for each field of a document that has a value."""
    width = max(map(len, document)) + 1
    for name, value in document.items():
        match value:
            case None:
                continue
            case bool():
                text = "yes" if value else "no"
            case int():
                text = f"{value:,}"
            case _:
                text = str(value)
        print_line(f"{f'{name}:'.ljust(width)} {text}")


def tree_document(image: Image) -> dict[str, object]:
    """Return everything in an image, in order."""
    same = hard_links(image.root)
    return {
        "format": image.format,
        "size": image.size,
        "entries": [_entry(path, node, image.format, same.get(path)) for path, node in walk(image.root)],
    }


def listed_document(listed: PartitionListing) -> dict[str, object]:
    """Return everything in a partition, in order; ``entries`` is None if there is no valid image."""
    base = listed.partition.address
    entries = None
    if listed.root is not None:
        entries = [_entry(path, node, "micropython", None) | _on_board(node, base) for path, node in walk(listed.root)]
    return {"entries": entries, "problem": listed.problem and listed.problem.message}


def _on_board(node: Node, base: int | None) -> dict[str, object]:
    if not isinstance(node, File):
        return {}
    at, alignment = place(node, base)
    return {"alignment": alignment, "address": None if base is None else at}


def _entry(path: str, node: Node, format_: str, first: str | None) -> dict[str, object]:
    entry: dict[str, object] = {"path": path}
    match node:
        case Directory():
            return entry | {"type": "directory"}
        case Symlink():
            entry |= {"type": "link", "target": node.target}
        case Special():
            entry["type"] = node.kind
            if node.kind.endswith("device"):
                entry |= {"major": node.major, "minor": node.minor}
        case File():
            data = image_content(node)
            entry |= {"type": "file", "size": data.size, "offset": data.offset, "alignment": data.alignment}
            if format_ == "linux":
                entry["executable"] = node.executable
    if first is not None:
        entry["hard_link_to"] = first
    return entry


def tree(image: Image) -> None:
    """Print what is in an image."""
    listing(image.root, image.size, (image.name, image.version))


def listing(root: Directory, size: int, names: tuple[str | None, ...], base: int | None = None) -> None:
    """Print the tree of an image: as a tree on a terminal, one file per line in a pipe.

    Each file is shown with its offset in the image, or with its memory address if the image is at ``base``.
    """
    if not sys.stdout.isatty():
        _print_lines(root, base)
        return
    from hatch_romfs.cli.table import print_table  # noqa: PLC0415 - a pipe needs none of it

    print_table(root, "  ".join(["/", f"{size:,} bytes", *filter(None, names)]), base)


def _print_lines(root: Directory, base: int | None) -> None:
    heading, width = ("offset", 10) if base is None else ("address", max(10, len(f"{base:#x}") + 1))
    print_line(f"{heading:>{width}} {'size':>10} {'aligned':>8}  path")
    for path, node in walk(root):
        if isinstance(node, File):
            at, alignment = place(node, base)
            shown = at if base is None else f"{at:#010x}"
            print_line(f"{shown:>{width}} {node.size:>10} {alignment:>8}  {path}{suffix(node)}")
        elif not isinstance(node, Directory) or not node.entries:
            print_line(f"{'':>{width}} {'':>10} {'':>8}  {path}{suffix(node)}")
