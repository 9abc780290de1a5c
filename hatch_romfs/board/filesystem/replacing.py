"""What a new image replaces of an earlier run: known before anything on the board is changed."""

from __future__ import annotations

from dataclasses import dataclass


def ignore_replacement(_replacement: FilesystemReplacement) -> None:
    """Do nothing: the default for callers that replace the files of an earlier run without a question."""


@dataclass(frozen=True, slots=True)
class FilesystemReplacement:
    """Files of an earlier run in ``folder`` that a new image replaces.

    ``name`` is the project of the earlier run, and ``new_name`` that of the new image, "" where one has no name.
    ``removed`` are the paths of files that the new image does not have.
    """

    folder: str
    name: str
    new_name: str
    removed: tuple[str, ...]

    def __repr__(self) -> str:
        names = f"{self.name!r} by {self.new_name!r}"
        return f"<{type(self).__name__} of {names} in {self.folder!r}: {len(self.removed):,} files removed>"

    @property
    def is_other(self) -> bool:
        """Whether the two projects have different names, so that one may be in the wrong place."""
        return self.name != self.new_name
