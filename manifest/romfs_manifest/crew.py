"""A few threads that work on many things at once."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 8
PATIENCE = 300.0
"""Seconds without any result after which waiting ends."""
_LOOK_UP = 0.2
"""Seconds after which a wait looks up, for Windows ends no wait for Ctrl-C."""


class _Failed(NamedTuple):
    error: BaseException


def side_by_side(work: Callable[[Item], Result], items: Collection[Item]) -> Iterator[tuple[Item, Result]]:
    """Give ``work(item)`` for each of ``items`` as it comes, in no order; the first failure ends it and is raised.

    The threads are daemons: neither a failure, nor Ctrl-C, nor a server that never ends waits for the slowest.
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Item, Result | _Failed]] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the results are waited for
                done.put((item, _Failed(error)))

    for _ in range(min(WORKERS, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in items:
            item, result = _next(done)
            if isinstance(result, _Failed):
                raise result.error
            yield item, result
    finally:
        ended.set()


def _next(done: queue.SimpleQueue[Result]) -> Result:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return done.get(timeout=_LOOK_UP)
        except queue.Empty:  # noqa: PERF203 - a wait
            continue
    raise ManifestError(f"nothing has come from the network for {PATIENCE:.0f} seconds", hint="Try again later.")
