"""``python -m hatch_romfs.genromfs``: a replacement for genromfs in scripts, on any system.

It has the options of genromfs 0.5.2 and creates the same image, except for the order, which is that of the bytes of
the names, and for the name of the volume, which is ``rom`` without ``-V``. genromfs uses the order of the disk, and
puts the time into the name. Patterns match in the same way, but ``-x`` never excludes ``.`` and ``..``, because GRUB
cannot read a folder without them.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.builder.output import write_output
from hatch_romfs.cli.command import Parser, print_line, run
from hatch_romfs.cli.shell_pattern import compile_pattern
from hatch_romfs.collect.folder import Folder, Keep
from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.layout import lay_out, sorted_names
from hatch_romfs.formats.linux.writer import image_chunks
from hatch_romfs.formats.sharing import hard_links
from hatch_romfs.paths import decode_name, encode_name, join
from hatch_romfs.tree import Directory, File, Special

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_romfs.formats.linux.layout import Layout, Order
    from hatch_romfs.tree import Node

_DEVICE = r"@([A-Za-z0-9_+-]+),(.),\s*([+-]?[0-9]+),\s*([+-]?[0-9]+)"
"""What genromfs's ``sscanf`` accepts; anything can follow."""
_KINDS = {"b": "block device", "c": "character device", "u": "character device", "p": "fifo"}


def main() -> None:
    """Run the command."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Create an image as genromfs would. Raises RomfsError."""
    options = parser().parse_args(arguments)
    source, out = Path(options.d), Path(options.f)
    if not source.is_dir():
        raise SettingsError(f"-d: {source} is not a folder")
    alignments = [_pattern_alignment(text) for text in options.A]
    exclusions = [make_matcher(pattern) for pattern in options.x]
    default = _size(options.a, "-a")

    def excluded(path: str) -> bool:
        path = path.rstrip("/")
        return any(matches(path) for matches in exclusions) or _same(source / os.fsdecode(encode_name(path)), out)

    def align(path: str, node: Node | None) -> int:
        # genromfs knows a device by its new name, but still by its old path.
        sizes = [
            size
            for size, pattern, matches in alignments
            if matches(on_disk.get(path, path) if pattern.startswith("/") else path)
        ]
        return max([*sizes, default if isinstance(node, File) else headers.UNIT])

    tree = Folder(source, str(source), excluded, None, Keep(symlinks=True, modes=True, inodes={})).read()
    on_disk = _replace_devices(tree, "")
    order = _disk_order(source) if options.readdir_order else sorted_names
    layout = lay_out(tree, options.V, align=align, same=hard_links(tree), order=order)
    _write(out, layout)
    if options.v:
        _list(layout)


def parser() -> Parser:
    """Return the parser, with genromfs's options."""
    parser = Parser(
        prog="python -m hatch_romfs.genromfs",
        description="Create a Linux romfs image from a folder, as genromfs does; the same folder gives the same image.",
    )
    add = parser.add_argument
    add("-f", required=True, metavar="IMAGE", help="the image: a file or a device")
    add("-d", default=".", metavar="DIRECTORY", help="the folder to pack; by default the current one")
    add("-v", action="store_true", help="list the content, and its offsets")
    add("-V", default="rom", metavar="VOLUME", help="the name of the volume; by default rom")
    add("-a", default="16", metavar="ALIGN", help="the alignment of the data of files, in bytes")
    add(
        "-A",
        action="append",
        default=[],
        metavar="ALIGN,PATTERN",
        help="the alignment of files and folders that match a pattern",
    )
    add("-x", action="append", default=[], metavar="PATTERN", help="exclude files and folders that match a pattern")
    add("--readdir-order", action="store_true", help="use the order of the disk, as genromfs does")
    return parser


def _pattern_alignment(text: str) -> tuple[int, str, Callable[[str], bool]]:
    """Return the alignment in bytes of a ``-A``, its pattern, and the function that matches paths with it."""
    size, comma, pattern = text.partition(",")
    if not comma:
        raise SettingsError(f"-A: {text!r} must be a number and a pattern, such as -A '4096,*.boot'")
    return _size(size, "-A"), pattern, make_matcher(pattern)


def _size(text: str, option: str) -> int:
    size = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    if size < headers.UNIT or size & (size - 1):
        raise SettingsError(f"{option}: {text!r} is not a power of two, or less than 16")
    return size


def make_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a path matches in genromfs, byte by byte.

    A pattern that begins with ``/`` is for the whole path, from the folder on, and any other one for the name.
    """
    match = compile_pattern(os.fsencode(pattern))
    if pattern.startswith("/"):
        return lambda path: match(encode_name(f"/{path}" if path else ""))
    return lambda path: match(encode_name(path.rpartition("/")[2]))


def _same(path: Path, out: Path) -> bool:
    return path.name == out.name and out.exists() and path.samefile(out)


def _replace_devices(directory: Directory, path: str) -> dict[str, str]:
    """Replace empty files that are named ``@name,type,major,minor`` by special files; return their old paths by new."""
    old: dict[str, str] = {}
    for name, node in list(directory.entries.items()):
        here = join(path, name)
        if isinstance(node, Directory):
            old |= _replace_devices(node, here)
        elif isinstance(node, File) and node.size == 0 and (found := re.match(_DEVICE, name)):
            kind = _KINDS.get(found[2])
            if kind is None:
                raise BuildError(f"{node.origin}: the type {found[2]!r} is not b, c, u, or p")
            if found[1] in directory.entries:
                raise BuildError(f"two sources for {join(path, found[1])!r} in the image: {node.origin} and a file")
            numbers = (0, 0) if kind == "fifo" else (int(found[3]), int(found[4]))
            directory.entries[found[1]] = Special(kind, node.origin, *numbers)
            del directory.entries[name]
            old[join(path, found[1])] = here
    return old


def _disk_order(source: Path) -> Order:
    from hatch_romfs.collect.readdir import list_names  # noqa: PLC0415 - only for comparisons with genromfs

    def order(path: str, directory: Directory) -> list[str]:
        found = list_names(source / os.fsdecode(encode_name(path)))
        if not path:
            found = [".", "..", *(name for name in found if name not in (".", ".."))]
        devices = {name: match[1] for name in found if (match := re.match(_DEVICE, name))}
        names = (devices.get(name, name) if name not in directory.entries else name for name in found)
        return [name for name in names if name in (".", "..") or name in directory.entries]

    return order


def _write(out: Path, layout: Layout) -> None:
    """Write the image, in place if ``out`` is a device."""
    chunks = image_chunks(layout)
    if not out.exists() or stat.S_ISREG(out.stat().st_mode):
        write_output(out, chunks)
        return
    try:
        with out.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise BuildError(f"cannot write {out}: {error.strerror}") from error


def _list(layout: Layout) -> None:
    for record in layout.records:
        header = record.header
        linked = f"  [link to {header.info:#x}]" if header.kind == headers.HARD_LINK else ""
        print_line(f"{header.offset:#010x} {header.size:>10}  {decode_name(header.name)}{linked}")


if __name__ == "__main__":
    main()
