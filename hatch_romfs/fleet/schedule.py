"""Which boards are started when: plain numbers in, a number out."""

from __future__ import annotations

from typing import Final, NamedTuple

JOBS: Final = 16
"""Boards at once, unless the caller says otherwise: each is a process, with 20 to 30 MB of memory."""


class Limits(NamedTuple):
    """How many boards at once, how many must succeed before the others start, and after how many failures to stop.

    0 means no canaries, and no such limit on failures.
    """

    jobs: int = JOBS
    canary: int = 0
    stop_after: int = 0


class Tally(NamedTuple):
    """How many boards were started, and how many of these are still running or have failed."""

    started: int = 0
    running: int = 0
    failed: int = 0


def may_start(tally: Tally, limits: Limits) -> int:
    """Return how many more boards may start now.

    The canaries come first. None of the others starts unless all canaries succeed. A board that was started is never
    interrupted because of others.
    """
    if limits.stop_after and tally.failed >= limits.stop_after:
        return 0
    free = max(0, limits.jobs - tally.running)
    if not limits.canary:
        return free
    canaries_left = max(0, limits.canary - tally.started)
    if canaries_left:
        return 0 if tally.failed else min(free, canaries_left)
    waits_for_canaries = tally.started == limits.canary and (tally.running or tally.failed)
    return 0 if waits_for_canaries else free
