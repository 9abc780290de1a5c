"""How things look: trees and bars where a person watches, plain lines in a pipe, documents for machines."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hatch_romfs.cli.command import printable, say
from hatch_romfs.errors import ImageError
from hatch_romfs.formats.image import stored
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.tree import Directory, File, Special, Symlink, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.tree import Tree

    from hatch_romfs.board.listing import Listed
    from hatch_romfs.formats.image import Image
    from hatch_romfs.pipeline import Built, Progress
    from hatch_romfs.tree import Node


def count(number: int, thing: str) -> str:
    """Return how many of a thing there are."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Show progress as a bar on standard error while it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    rate, left = TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), rate, left
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def on_progress(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(doing, total=total, rate="")
            bar.update(tasks[doing], completed=done, total=total)
            speed = bar.tasks[tasks[doing]].speed
            if speed and doing != "compiling":  # which counts modules, all else counts bytes
                bar.update(tasks[doing], rate=f"{speed / 1024:,.0f} KiB/s")

        yield on_progress


def built(result: Built) -> None:
    """Say what was built, and warnings."""
    for warning in result.warnings:
        sys.stderr.write(f"warning: {printable(warning)}\n")
    full = f", {result.size / result.limit:.0%} of {result.limit:,}" if result.limit else ""
    say(f"{result.path}  {result.size:,} bytes{full}, {count(result.files, 'file')}, sha256 {result.sha256}")


def built_document(result: Built) -> dict[str, object]:
    """Return what was built for machines."""
    return {
        "path": str(result.path),
        "size": result.size,
        "sha256": result.sha256,
        "files": result.files,
        "warnings": list(result.warnings),
        "inventory": result.inventory and str(result.inventory),
    }


def info_document(image: Image) -> dict[str, object]:
    """Return what an image is."""
    found = [node for _, node in walk(image.root)]
    sizes = [node.size for node in found if isinstance(node, File)]
    try:
        image.check()
    except ImageError:
        sound = False
    else:
        sound = True
    return {
        "format": image.format,
        "name": image.name,
        "version": image.version,
        "content_sha256": image.content_sha256,
        "content_matches": None if image.content_sha256 is None else sound,
        "sha256": image.sha256(),
        "size": image.size,
        "files": len(sizes),
        "directories": sum(isinstance(node, Directory) for node in found),
        "links": sum(isinstance(node, Symlink) for node in found) or None,
        "special_files": sum(isinstance(node, Special) for node in found) or None,
        "bytes": sum(sizes),
    }


def fields(document: Mapping[str, object]) -> None:
    """Print a document as a line for each field that has a value."""
    width = max(map(len, document)) + 1
    for name, value in document.items():
        if value is not None:
            if isinstance(value, bool):
                text = "yes" if value else "no"
            else:
                text = f"{value:,}" if isinstance(value, int) else printable(str(value))
            say(f"{f'{name}:'.ljust(width)} {text}")


def tree_document(image: Image) -> dict[str, object]:
    """Return everything that an image holds, in order."""
    same = hard_links(image.root)
    return {
        "format": image.format,
        "size": image.size,
        "entries": [_entry(path, node, image.format, same.get(path)) for path, node in walk(image.root)],
    }


def listed_document(listed: Listed) -> dict[str, object]:
    """Return everything that a partition holds, in order; ``entries`` is None where there is no sound image."""
    base = listed.partition.address
    entries = None
    if listed.root is not None:
        entries = [_entry(path, node, "micropython", None) | _on_board(node, base) for path, node in walk(listed.root)]
    return {"entries": entries, "problem": listed.problem and listed.problem.message}


def _on_board(node: Node, base: int | None) -> dict[str, object]:
    if not isinstance(node, File):
        return {}
    at, aligned = _place(node, base)
    return {"alignment": aligned, "address": None if base is None else at}


def _entry(path: str, node: Node, format_: str, first: str | None) -> dict[str, object]:
    if isinstance(node, Directory):
        return {"path": path, "type": "directory"}
    linked = {} if first is None else {"hard_link_to": first}
    if isinstance(node, Symlink):
        return {"path": path, "type": "link", "target": node.target, **linked}
    if isinstance(node, Special):
        numbers = {"major": node.major, "minor": node.minor} if node.kind.endswith("device") else {}
        return {"path": path, "type": node.kind, **numbers, **linked}
    data = stored(node)
    mode = {"executable": node.executable} if format_ == "linux" else {}
    return {
        "path": path,
        "type": "file",
        "size": data.size,
        "offset": data.offset,
        "alignment": data.alignment,
        **mode,
        **linked,
    }


def tree(image: Image) -> None:
    """Print what an image holds."""
    listing(image.root, image.size, (image.name, image.version))


def listing(root: Directory, size: int, known: tuple[str | None, ...], base: int | None = None) -> None:
    """Print an image's tree: as that on a terminal, in a pipe as a line for each file.

    Files are where their offsets are in the image, or else from the memory address ``base`` on.
    """
    if not sys.stdout.isatty():
        _lines(root, base)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    title = Text("/", "bold").append(f"  {size:,} bytes", "dim")
    for one in filter(None, known):
        title.append(f"  {printable(one)}")
    shown = Tree(title)
    _grow(shown, root, base)
    Console().print(shown)


def _lines(root: Directory, base: int | None) -> None:
    named, width = ("offset", 10) if base is None else ("address", max(10, len(f"{base:#x}") + 1))
    say(f"{named:>{width}} {'size':>10} {'aligned':>8}  path")
    for path, node in walk(root):
        if isinstance(node, File):
            at, aligned = _place(node, base)
            shown = at if base is None else f"{at:#010x}"
            say(f"{shown:>{width}} {node.size:>10} {aligned:>8}  {printable(path)}{_mark(node)}")
        elif not isinstance(node, Directory):
            say(f"{'':>{width}} {'':>10} {'':>8}  {printable(path)}{_mark(node)}")


def _place(file: File, base: int | None) -> tuple[int, int]:
    """Return where a file begins, and the largest power of two that divides that."""
    at = (base or 0) + stored(file).offset
    return at, at & -at


def _grow(branch: Tree, directory: Directory, base: int | None) -> None:
    from rich.text import Text  # noqa: PLC0415

    for name, node in directory.sorted():
        if isinstance(node, Directory):
            _grow(branch.add(Text(f"{printable(name)}/", "bold")), node, base)
        elif not isinstance(node, File):
            branch.add(Text(printable(name)).append(_mark(node), "magenta"))
        else:
            at, aligned = _place(node, base)
            label = Text(printable(name) + _mark(node)).append(f"  {node.size:,}", "cyan")
            branch.add(label.append(f"  @{at:#x} /{aligned}", "dim"))


def _mark(node: File | Symlink | Special) -> str:
    """Return what follows a name: as ``ls -F`` marks it, and what a link or a device is."""
    if isinstance(node, File):
        return "*" if node.executable else ""
    if isinstance(node, Symlink):
        return f" -> {printable(node.target)}"
    return f" ({node.kind}{f' {node.major}, {node.minor}' if node.kind.endswith('device') else ''})"
