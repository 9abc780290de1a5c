"""Threads that do the same work for many items at once."""

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
_POLL = 0.2
"""Seconds after which a wait is interrupted briefly: on Windows, Ctrl-C ends no wait."""


class _Failure(NamedTuple):
    error: BaseException


def map_parallel(work: Callable[[Item], Result], items: Collection[Item]) -> Iterator[tuple[Item, Result]]:
    """Yield each of ``items`` with ``work(item)`` as soon as it is done; the first failure is raised and ends it.

    The threads are daemons: neither a failure, nor Ctrl-C, nor a server that never answers waits for the slowest.
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Item, Result | _Failure]] = queue.SimpleQueue()
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
            except BaseException as error:  # noqa: BLE001 - raised where the results are awaited
                done.put((item, _Failure(error)))

    for _ in range(min(WORKERS, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in items:
            item, result = _next(done)
            if isinstance(result, _Failure):
                raise result.error
            yield item, result
    finally:
        ended.set()


def _next(done: queue.SimpleQueue[Result]) -> Result:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return done.get(timeout=_POLL)
        except queue.Empty:  # noqa: PERF203 - a wait
            continue
    raise ManifestError(f"nothing arrived from the network for {PATIENCE:.0f} seconds", hint="Try again later.")
