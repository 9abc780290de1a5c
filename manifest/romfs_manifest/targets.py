"""Where files may go: paths inside an image, whoever names them."""

from __future__ import annotations

import re

MAX_TARGET = 255
"""Bytes of a target, at most."""


def target_problem(target: str) -> str | None:
    """Say why ``target`` cannot be a path inside an image, or return None.

    Paths are relative, with ``/`` between names; nothing in them leads out, on any system.
    """
    if not target or target.startswith("/") or re.match("[A-Za-z]:", target):
        return "must be a relative path"
    if "\\" in target:
        return "must have '/' between its names, not a backslash"
    if any(part in ("", ".", "..") for part in target.split("/")):
        return "must not have empty names, '.' or '..' in it"
    if any(ord(character) < 32 or ord(character) == 127 for character in target):  # noqa: PLR2004 - control characters
        return "must not have control characters in it"
    try:
        size = len(target.encode())
    except UnicodeEncodeError:
        return "must be valid UTF-8"
    return f"must be at most {MAX_TARGET} bytes long" if size > MAX_TARGET else None
