"""Bytes to a tree, strictly, because an image can be hostile."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.errors import ImageError
from hatch_romfs.formats.image import ImageContent, ImageDirectory
from hatch_romfs.formats.linux import headers
from hatch_romfs.formats.linux.headers import UNIT, Header, checksum, header_size, padded
from hatch_romfs.formats.linux.layout import KINDS
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH, decode_name, name_problem, show_name
from hatch_romfs.tree import File, Special, Symlink

if TYPE_CHECKING:
    from hatch_romfs.formats.image import View
    from hatch_romfs.tree import Node

MAX_TARGET = 4095
"""Bytes of the target of a symbolic link, at most: the kernel's limit for a path."""
_SPECIAL = {number: kind for kind, number in KINDS.items()}
_ORIGIN = "the image"


class ParsedImage(NamedTuple):
    """A valid image of ``size`` bytes, followed by padding."""

    root: ImageDirectory
    size: int
    volume: str


class _Inside(NamedTuple):
    """A directory that is being read: the targets of its ``.`` and ``..``, its depth, the bytes of its path."""

    directory: ImageDirectory
    own: int
    above: int
    depth: int = 0
    path: int = 0


def parse(view: View) -> ParsedImage:
    """Read the image at the start of ``view``. Raises ImageError for anything that is not valid."""
    return Reader(view).image()


class Reader:
    """Reads an image; after ``image``, ``header`` and ``name`` return what is at an offset of it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.size = 0
        self.first = 0
        """The offset of the first header of the root."""
        self.nodes: dict[int, Node] = {}
        """The node of the header at each offset; the target of every hard link must be one of them in the end."""
        self.links: list[tuple[Header, ImageDirectory, str]] = []
        """Hard links that are not resolved yet: each with its directory and its name."""
        self.areas: list[tuple[int, int]] = []
        """Start and end of every header, with its data."""

    def image(self) -> ParsedImage:
        """Read and check everything. Raises ImageError."""
        if bytes(self.view[: len(headers.MAGIC)]) != headers.MAGIC:
            raise ImageError("not a Linux romfs image: it does not begin with -rom1fs-", offset=0)
        if len(self.view) < 2 * UNIT:
            raise ImageError("the image is cut short: even its superblock is incomplete", offset=len(self.view))
        self.size = self.words(8)[0]
        if self.size > len(self.view):
            message = f"the image is cut short: it should be {self.size} bytes, but only {len(self.view)} are there"
            raise ImageError(message, offset=len(self.view))
        if self.size < 2 * UNIT:
            raise ImageError(f"the size in the image, {self.size} bytes, is too small for a superblock", offset=8)
        checked = min(headers.CHECKED, self.size) & ~3
        if checksum(self.view[:checked]):
            raise ImageError(f"the checksum of the first {checked} bytes is wrong", offset=12)
        volume = self.name(UNIT)
        self.first = header_size(volume)
        self.areas.append((0, self.first))
        root = ImageDirectory({}, 0)
        if self.first < self.size:
            self.fill(self.first, _Inside(root, own=self.first, above=self.first))
        self.resolve()
        self.check_areas()
        return ParsedImage(root, self.size, decode_name(volume))

    def words(self, at: int) -> tuple[int, int]:
        """Return two numbers."""
        first, second = struct.unpack(">2I", self.view[at : at + 8])
        return first, second

    def name(self, at: int) -> bytes:
        """Return the name at ``at``, without its final NUL."""
        limit = min(at + padded(headers.MAX_NAME + 1), self.size)
        data = bytes(self.view[at:limit])
        end = data.find(b"\0")
        if end < 0 or at + padded(end + 1) > self.size:
            raise ImageError("a name has no end, or is longer than the kernel reads", offset=at)
        return data[:end]

    def header(self, at: int) -> Header:
        """Read and check the header at ``at``, by itself."""
        if at % UNIT or at < self.first or at + 2 * UNIT > self.size:
            raise ImageError(f"there cannot be a header at {at:#x}", offset=at)
        first, info = self.words(at)
        size, _ = self.words(at + 8)
        name = self.name(at + UNIT)
        header = Header(at, first & 7, bool(first & headers.EXECUTABLE), first & ~15, info, size, name)
        if checksum(self.view[at : header.data]):
            raise ImageError("the checksum of a header is wrong", offset=at + 12)
        if header.end > self.size:
            raise ImageError(f"data of {size} bytes extends past the end of the image", offset=at + 8)
        if size and header.kind not in (headers.FILE, headers.SYMLINK):
            raise ImageError("only files and symbolic links may have a size", offset=at + 8)
        return header

    def fill(self, at: int, inside: _Inside) -> None:
        """Read the headers that begin at ``at`` into a directory."""
        if inside.depth > MAX_DEPTH:
            raise ImageError(f"directories are nested more than {MAX_DEPTH} deep", offset=at)
        while at:
            header = self.header(at)
            if at in self.nodes:
                raise ImageError("a header is reached twice: the image has a loop", offset=at)
            self.areas.append((at, padded(header.end)))
            self.nodes[at] = inside.directory
            if header.name in (b".", b".."):
                self.dots(header, inside.own if header.name == b"." else inside.above)
            else:
                self.entry(header, self.checked_name(header, inside), inside)
            at = header.next

    def dots(self, header: Header, target: int) -> None:
        """Check the target of ``.`` or ``..``."""
        is_root = header.offset == self.first and header.kind == headers.DIRECTORY
        if (header.kind != headers.HARD_LINK and not is_root) or header.info != target:
            raise ImageError(f"{header.name.decode()!r} does not lead to its directory", offset=header.offset)

    def checked_name(self, header: Header, inside: _Inside) -> str:
        """Return the name in a header. Raises ImageError if it cannot be one."""
        at = header.offset + UNIT
        name = decode_name(header.name)
        problem = name_problem(name, any_bytes=True)
        if name in inside.directory.entries:
            problem = f"the name {show_name(name)!r} appears twice in one directory"
        if inside.path + len(header.name) > MAX_PATH:
            problem = f"a path is longer than {MAX_PATH} bytes"
        if problem:
            raise ImageError(problem, offset=at)
        return name

    def entry(self, header: Header, name: str, inside: _Inside) -> None:
        """Add the node of a header to its directory."""
        if header.kind == headers.HARD_LINK:
            inside.directory.entries[name] = inside.directory  # a placeholder, until all headers are read
            self.links.append((header, inside.directory, name))
        elif header.kind == headers.DIRECTORY:
            node = ImageDirectory({}, 0, executable=header.executable)
            inside.directory.entries[name] = self.nodes[header.offset] = node
            if header.info != header.offset:  # genromfs writes this for an empty directory
                below = inside.path + len(header.name) + 1
                self.fill(header.info, _Inside(node, header.offset, inside.own, inside.depth + 1, below))
        else:
            inside.directory.entries[name] = self.nodes[header.offset] = self.leaf(header)

    def leaf(self, header: Header) -> Node:
        """Return the node of a header that is not a directory or a hard link."""
        if header.kind in _SPECIAL:
            if header.info and header.kind in (headers.SOCKET, headers.FIFO):
                raise ImageError("a socket or a fifo has device numbers", offset=header.offset + 4)
            return Special(_SPECIAL[header.kind], _ORIGIN, header.info >> 16, header.info & headers.MAX_NUMBER)
        if header.info:
            raise ImageError("a file or a symbolic link has an info word that is not 0", offset=header.offset + 4)
        if header.kind == headers.FILE:
            return File(ImageContent(self.view, header.data, header.size), _ORIGIN, header.executable)
        if header.size > MAX_TARGET:
            raise ImageError(f"the target of a symbolic link is {header.size} bytes long", offset=header.offset + 8)
        target = bytes(self.view[header.data : header.end])
        if not target or b"\0" in target:
            raise ImageError("the target of a symbolic link is empty, or contains a NUL", offset=header.data)
        return Symlink(decode_name(target), _ORIGIN)

    def resolve(self) -> None:
        """Replace hard links by the nodes that they mean."""
        targets = {header.offset: header.info for header, _, _ in self.links}
        for header, directory, name in self.links:
            seen = {header.offset}
            at = header.info
            while at in targets:
                if at in seen:
                    raise ImageError("hard links that lead to one another: a loop", offset=header.offset)
                seen.add(at)
                at = targets[at]
            for link in seen:  # a chain is walked once
                targets[link] = at
            node = self.nodes.get(at)
            if node is None or isinstance(node, ImageDirectory):
                what = "a directory" if node else "not a header in the tree"
                raise ImageError(f"the target of a hard link is {what}", offset=header.offset + 4)
            directory.entries[name] = node

    def check_areas(self) -> None:
        """Refuse headers and data that overlap."""
        self.areas.sort()
        end = 0
        for start, stop in self.areas:
            if start < end:
                raise ImageError("a header lies inside another's header or data", offset=start)
            end = stop
