"""What long work reports while it runs: one type for builds, locks, and boards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

Unit: TypeAlias = Literal["bytes", "modules", "blocks", "packages", "steps"]


class Progress(NamedTuple):
    """How far a phase is: ``done`` of ``total`` units.

    ``phase`` is a present participle, such as ``compiling``. A phase ends when ``done`` equals ``total``.
    """

    phase: str
    done: int
    total: int
    unit: Unit = "bytes"


Report: TypeAlias = Callable[[Progress], None]
"""Receives each event, in the thread that does the work; it should return quickly."""


def ignore_progress(_event: Progress, /) -> None:
    """Do nothing: the default for callers that do not show progress."""
