"""Saves of files: whether there was one since the last look."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import RomfsError, SettingsError
from hatch_romfs.settings.project import has_table, load, read_project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

QUIET: Final = 40
"""Milliseconds without a change after which a burst of saves counts as over."""
LONGEST_BURST: Final = 1000
"""Milliseconds of a burst that are waited for at most."""


class Changes:
    """Watches folders in a thread, for as long as a ``with`` block."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._seen, self._stop = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def take(self) -> bool:
        """Return whether something changed since the last call; raises RomfsError if that is no longer known."""
        if self._error is not None:
            raise RomfsError(
                f"cannot watch {', '.join(map(str, self._folders))}: {self._error}",
                hint="WATCHFILES_FORCE_POLLING=1 in the environment looks at the files again and again instead.",
            )
        if not self._seen.is_set():
            return False
        self._seen.clear()
        return True

    def _run(self) -> None:
        from watchfiles import watch  # noqa: PLC0415 - an extra

        try:
            for _ in watch(*self._folders, debounce=LONGEST_BURST, step=QUIET, stop_event=self._stop):
                self._seen.set()
        except (OSError, RuntimeError) as error:
            self._error = error

    def __enter__(self) -> Self:
        try:
            import watchfiles  # noqa: F401, PLC0415 - an extra; imported here so that its absence is reported
        except ImportError:
            raise SettingsError(
                "--watch needs the package watchfiles", hint='Install it: pip install "hatch-romfs[watch]"'
            ) from None
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def watched_folders(root: Path) -> list[Path]:
    """Return the folder of a project, and its sources and bases outside of it."""
    folders = [root.resolve()]
    try:
        document = load(root)
        if document is None or not has_table(document):
            return folders
        images = read_project(root, document).images.values()
    except RomfsError:  # the build reports it
        return folders
    for settings in images:
        sources = [source.path for source in (*settings.sources, *settings.lib)]
        for source in (*sources, *([settings.base] if settings.base else ())):
            path = (root / source).resolve()
            if path.exists() and not any(path.is_relative_to(folder) for folder in folders):
                folders.append(path)
    return folders
