"""Compare versions of packages, which need not follow any scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def newest(versions: Collection[str]) -> str:
    """Return the newest of ``versions``."""
    return max(versions, key=_key)


def is_newer(version: str, than: str) -> bool:
    """Return whether ``version`` is newer; if one of the two is not a version number, whether they differ."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - few commands compare versions

    try:
        return Version(version) > Version(than)
    except InvalidVersion:
        return version != than


def _key(version: str) -> tuple[bool, object, str]:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, version, version
