"""Paths inside an image, which manifests, packages, and locks name."""

from __future__ import annotations

import re

from romfs_manifest.errors import ManifestError

MAX_TARGET = 255
"""Maximum length of a path, in bytes."""


def target_problem(target: str) -> str | None:
    """Return what is wrong with ``target`` as a path inside an image, or None.

    Paths are relative and use ``/``. No path leads out of the image on any system.
    """
    if not target or target.startswith("/") or re.match("[A-Za-z]:", target):
        return "must be a relative path"
    if "\\" in target:
        return "must use '/', not a backslash"
    if any(part in ("", ".", "..") for part in target.split("/")):
        return "must not contain empty names, '.', or '..'"
    if any(ord(character) < 32 or ord(character) == 127 for character in target):  # noqa: PLR2004 - control characters
        return "must not contain control characters"
    try:
        size = len(target.encode())
    except UnicodeEncodeError:
        return "must be valid UTF-8"
    return f"must not exceed {MAX_TARGET} bytes" if size > MAX_TARGET else None


def check_target(target: str) -> str:
    """Return ``target``; raises ManifestError if it cannot be a path inside an image."""
    if problem := target_problem(target):
        raise ManifestError(f"the target {target!r:.300} {problem}", hint="Targets are paths such as 'a/b.py'.")
    return target
