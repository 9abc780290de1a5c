"""Read what packages name: from the network, or from folders on this machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError
from romfs_manifest.files import read_file
from romfs_manifest.mip.names import FILE

if TYPE_CHECKING:
    from romfs_manifest.mip.client import Client
    from romfs_manifest.mip.policy import Policy


class Reader:
    """Reads addresses that a policy allows; ``file:`` addresses are relative to the folder ``root``."""

    def __init__(self, policy: Policy, root: Path) -> None:
        self.policy = policy
        self._root = root
        self._client: Client | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        if self._client:
            self._client.close()

    def read(self, url: str, limit: int, package: str) -> bytes:
        """Return at most ``limit`` bytes of a file of ``package``; raises ManifestError."""
        if url.startswith(FILE):
            return self._read_file(url, limit, package)
        with self._lock:
            if self._client is None:
                from romfs_manifest.mip.client import Client  # noqa: PLC0415 - local packages need no network

                self._client = Client(self.policy)
        return self._client.get(url, limit)

    def exists(self, url: str) -> bool:
        """Return whether there is a file at a ``file:`` address."""
        return self._path(url).is_file()

    def _read_file(self, url: str, limit: int, package: str) -> bytes:
        self.policy.check_file(url, package)
        path = self._path(url)
        real = Path(os.path.realpath(path))
        folders = [Path(os.path.realpath(self._path(root))) for root in self.policy.folders(package)]
        if not any(real.is_relative_to(folder) for folder in folders):
            raise ManifestError(f"{path} is a link that leads out of the folder of the package", hint="Copy the file.")
        return read_file(real, limit)

    def _path(self, url: str) -> Path:
        return self._root / url.removeprefix(FILE)
