"""Paths inside an image: strings with ``/`` between names and none at either end; the root is ``""``.

Names and paths are checked here and nowhere else.
"""

from __future__ import annotations

MAX_DEPTH = 255
"""Folders inside one another, at most: enough for any real tree, and a bound for code that walks one."""

MAX_PATH = 4096
"""Bytes of a path inside an image, at most: code that walks a tree builds the path of every node."""


def join(parent: str, name: str) -> str:
    """Return the path of ``name`` in the directory ``parent``."""
    return f"{parent}/{name}" if parent else name


def encode_name(name: str) -> bytes:
    """Return the bytes of a name or a path.

    Bytes that are not valid UTF-8 are surrogates in the text, as in Python's file names. Only Linux romfs has them.
    """
    return name.encode(errors="surrogateescape")


def decode_name(name: bytes) -> str:
    """Return the text of a name or a path; ``encode_name`` returns the same bytes again."""
    return name.decode(errors="surrogateescape")


def show_name(name: str) -> str:
    """Return a name or a path for messages: bytes that are not valid UTF-8 become escapes."""
    return encode_name(name).decode(errors="backslashreplace")


def name_problem(name: str, *, any_bytes: bool = False) -> str | None:
    """Return why ``name`` cannot be a name inside an image, or None. With ``any_bytes`` it need not be UTF-8."""
    if name in ("", ".", ".."):
        return f"{name!r} is not a name"
    if "/" in name or "\0" in name:
        return f"the name {name!r} contains a '/' or a NUL"
    try:
        name.encode(errors="surrogateescape" if any_bytes else "strict")
    except UnicodeEncodeError:
        return f"the name {name!r} is not valid UTF-8"
    return None


def path_problem(path: str) -> str | None:
    """Return why ``path`` cannot be a path inside an image, or None. The root, ``""``, is valid."""
    if "\\" in path:
        return f"{path!r} contains a backslash; separate folders with '/'"
    if path.startswith("/") or path[1:2] == ":":
        return f"{path!r} is absolute; paths inside an image are relative to its root"
    return next(filter(None, map(name_problem, path.split("/"))), None) if path else None
