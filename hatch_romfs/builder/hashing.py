"""A SHA-256 in parallel with other work: hashing takes as long as reading and writing together."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue import Queue
    from threading import Thread

    from typing_extensions import Self

_AHEAD = 32
"""Chunks that wait to be hashed, at most, so that memory is bounded."""
_WITHOUT_THREAD = 32
"""Chunks that are hashed without a thread: a small image is not worth one."""


class Digest:
    """The SHA-256 of the chunks given to ``update``, computed in a thread that the ``with`` statement ends."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._seen = 0
        self._failure: BaseException | None = None
        self._queue: Queue[bytes | memoryview | None] | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._join()

    def update(self, chunk: bytes | memoryview) -> None:
        """Add bytes, which must not change later."""
        self._seen += 1
        if self._seen <= _WITHOUT_THREAD:
            self._digest.update(chunk)
            return
        if self._queue is None:
            from queue import Queue  # noqa: PLC0415 - only for large images
            from threading import Thread  # noqa: PLC0415

            queue: Queue[bytes | memoryview | None] = Queue(_AHEAD)
            thread = Thread(target=self._work, args=(queue,), daemon=True)
            thread.start()
            self._queue, self._thread = queue, thread
        self._queue.put(chunk)

    def hexdigest(self) -> str:
        """Return the hash of all chunks as 64 hex digits."""
        self._join()
        if self._failure is not None:
            raise self._failure
        return self._digest.hexdigest()

    def _work(self, queue: Queue[bytes | memoryview | None]) -> None:
        while (chunk := queue.get()) is not None:
            if self._failure is None:
                try:
                    self._digest.update(chunk)
                except BaseException as error:  # noqa: BLE001 - hexdigest() raises it
                    self._failure = error

    def _join(self) -> None:
        if self._queue is not None and self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._queue = self._thread = None
