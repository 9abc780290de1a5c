"""What the page calls: this module runs in Pyodide, with the code that the command line has too.

Every function returns a document for JSON, or bytes. An image that was opened stays in a file of the browser's memory;
the page knows it by its number.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hatch_romfs.board.flash import flash
from hatch_romfs.board.listing import list_files
from hatch_romfs.board.messages import describe_replacement, flash_summary
from hatch_romfs.board.reading import read, verify
from hatch_romfs.board.session import PortOptions
from hatch_romfs.builder.api import build
from hatch_romfs.errors import INTERRUPTED, BoardError, RomfsError, one_line
from hatch_romfs.formats import open_image
from hatch_romfs.images.extract import extract
from hatch_romfs.images.wheel import is_wheel, list_images, open_in_wheel
from hatch_romfs.paths import show_name
from hatch_romfs.report.html import map_data
from hatch_romfs.report.image_map import make_map
from hatch_romfs.tree import files
from hatch_romfs.web.serial import BrowserPort, run_sync
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hatch_romfs.board.listing import PartitionListing
    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.events import Progress
    from hatch_romfs.formats.image import Image

    Document = Mapping[str, object]
    Reporter = Callable[[str, int, int, str], None]

_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+")
_COMMAND_LINE: Final = re.compile(r"--\w|'romfs-|tool\.romfs|`\w")
"""What a hint for the command line mentions."""
MAX_NAME: Final = 100
"""The most characters of a file's name that are kept."""
_AGAIN: Final = re.compile(r"(r)un the same command again", re.IGNORECASE)


class Page:
    """The images that a page has opened, by number; ``folder`` is where they are."""

    def __init__(self, folder: str, wait_for: Callable[[Any], Any] = run_sync) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._paths: list[Path] = []
        self._wait_for = wait_for

    def call(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - JavaScript's
        """Return what a method returns: JSON text, or bytes. An error is a document too."""
        try:
            result = getattr(self, name)(*arguments)
        except RomfsError as error:
            message = self._without_folder(error.message)
            result = {"error": {"message": message, "hint": page_hint(error), "status": error.status}}
        except KeyboardInterrupt as error:
            message = ": ".join(filter(None, ("interrupted", page_text(str(error)))))
            result = {"error": {"message": message, "hint": None, "status": INTERRUPTED}}
        return result if isinstance(result, bytes) else json.dumps(result)

    def open_file(self, data: Any, name: str, image: str = "") -> Document:  # noqa: ANN401 - JavaScript's bytes
        """Open an image, or the one in a wheel; ``image`` chooses one of several.

        Returns ``choices`` if the wheel has several and none is chosen. Raises RomfsError.
        """
        path = self._add(data.to_bytes(), name)
        if is_wheel(path):
            choices = list_images(path)
            if len(choices) > 1 and not image:
                return {"choices": [one_line(choice) for choice in choices]}
            with open_in_wheel(path, image or None) as found:
                content = bytes(found.view[: found.size])
            path.write_bytes(content)
        with open_image(path) as opened:
            opened.check()
            return self._document(opened)

    def pack(self, entries: Iterable[Any], name: str) -> Document:
        """Pack the files of a folder as they are, as ``romfs-image build`` does with ``--no-mpy``.

        ``entries`` are pairs of a path, with slashes, and the bytes of a file. Raises RomfsError.
        """
        with TemporaryFolder() as temporary:
            root = temporary / "root"
            root.mkdir()
            for path, data in entries:
                target = root.joinpath(*_parts(path))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.to_bytes())
            path = self._add(b"", name)
            built = build(root, path, overrides={"mpy": False}, cache=False)
        with open_image(path) as opened:
            return {**self._document(opened), "warnings": list(built.warnings)}

    def map(self, number: int, partition_size: int = 0, block: int = 0) -> Document:
        """Return what fills an image, for ``showMap``; sizes are in bytes, 0 for unknown."""
        with open_image(self._paths[number]) as opened:
            return map_data(make_map(opened, partition_size or None), block or None)

    def extract(self, number: int) -> bytes:
        """Return the files of an image as a ZIP file; raises RomfsError."""
        packed = io.BytesIO()
        with TemporaryFolder() as temporary, open_image(self._paths[number]) as opened:
            extract(opened, temporary / "files")
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted((temporary / "files").rglob("*")):
                    archive.write(path, path.relative_to(temporary / "files"))
        return packed.getvalue()

    def connect(self, line: Any, on_message: Callable[[str], None]) -> Document:  # noqa: ANN401 - JavaScript's
        """Return what a board is and what its partitions hold; raises RomfsError."""
        return _board_document(*list_files(self._port(line, on_message)))

    def flash(  # noqa: PLR0913, PLR0917 - what the page asks for and shows
        self,
        line: Any,  # noqa: ANN401 - JavaScript's
        number: int,
        partition: int,
        on_progress: Reporter,
        on_replace: Callable[[str], Any],
        on_message: Callable[[str], None],
    ) -> Document:
        """Write an image; ``on_replace`` gets JSON and returns a promise of whether to go on. Raises RomfsError."""
        done = flash(
            self._paths[number],
            self._port(line, on_message),
            partition=partition,
            on_event=partial(_report, on_progress),
            on_replace=partial(self._ask, on_replace),
            name=self._paths[number].name,
        )
        return {
            "summary": flash_summary(done),
            "size": done.size,
            "written": done.plan.writes,
            "copied": done.copied,
            "sent": done.sent,
            "received": done.received,
            "mounted": done.mounted,
        }

    def verify(
        self,
        line: Any,  # noqa: ANN401 - JavaScript's
        number: int,
        partition: int,
        on_progress: Reporter,
        on_message: Callable[[str], None],
    ) -> Document:
        """Compare a partition with an image; raises VerifyError where they differ."""
        board = verify(
            self._paths[number],
            self._port(line, on_message),
            partition=partition,
            on_event=partial(_report, on_progress),
            name=self._paths[number].name,
        )
        return {"summary": f"partition {partition} of {board.machine} holds {self._paths[number].name}"}

    def read(
        self,
        line: Any,  # noqa: ANN401 - JavaScript's
        partition: int,
        on_progress: Reporter,
        on_message: Callable[[str], None],
    ) -> bytes:
        """Return the image in a partition; raises BoardError if there is none."""
        return read(self._port(line, on_message), partition=partition, on_event=partial(_report, on_progress))

    def _add(self, data: bytes, name: str) -> Path:
        number = len(self._paths)
        path = self._folder / f"{number}" / one_line(name).replace("/", "_")[-MAX_NAME:]
        path.parent.mkdir()
        path.write_bytes(data)
        self._paths.append(path)
        return path

    def _without_folder(self, message: str) -> str:
        """Return a message with the names of images instead of their paths."""
        for path in self._paths:
            message = message.replace(str(path), path.name)
        return message

    def _document(self, image: Image) -> Document:
        return {
            "number": len(self._paths) - 1,
            "format": image.format,
            "name": image.name and one_line(image.name),
            "version": image.version and one_line(image.version),
            "size": image.size,
            "sha256": image.sha256(),
            "files": [_file_document(path, file.size) for path, file in files(image.root)],
        }

    def _port(self, line: Any, on_message: Callable[[str], None]) -> PortOptions:  # noqa: ANN401 - JavaScript's
        return PortOptions(source=BrowserPort(line, self._wait_for), on_message=on_message)

    def _ask(self, on_replace: Callable[[str], Any], found: Replacement) -> None:
        """Let the user decide where something disappears; raises RomfsError if the answer is no."""
        lines = describe_replacement(found, verbose=True)
        if lines and not self._wait_for(on_replace(json.dumps([one_line(line) for line in lines]))):
            raise RomfsError(f"partition {found.partition} was not changed")


def page_hint(error: RomfsError) -> str | None:
    """Return the hint of an error without what only the command line has, or None if nothing is left."""
    lines = (page_text(line) for line in (error.hint or "").split("\n"))
    kept = "\n".join(filter(None, lines))
    if not kept and isinstance(error, BoardError):
        return "Ask whoever made the image for one that fits this board."
    return kept or None


def page_text(text: str) -> str:
    """Return the sentences that make sense on a page."""
    kept = " ".join(one for one in _SENTENCE.split(text) if not _COMMAND_LINE.search(one))
    return _AGAIN.sub(lambda found: "Try again" if found[1] == "R" else "try again", kept)


def _report(on_progress: Reporter, event: Progress) -> None:
    on_progress(event.phase, event.done, event.total, event.unit)


def _parts(path: str) -> list[str]:
    """Return the names in a path that a browser gave; raises RomfsError for one that leads elsewhere."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise RomfsError(f"{path!r} is not a path inside the folder")
    return parts


def _file_document(path: str, size: int) -> Document:
    return {"path": one_line(show_name(path)), "size": size}


def _board_document(board: Board, listed: tuple[PartitionListing, ...]) -> Document:
    return {
        "machine": one_line(board.machine),
        "version": one_line(board.version),
        "platform": one_line(board.platform),
        "arch": board.arch,
        "free": board.free,
        "partitions": None if board.partitions is None else [_partition_document(one) for one in listed],
    }


def _partition_document(listed: PartitionListing) -> Document:
    partition = listed.partition
    metadata = partition.metadata
    problem = partition.problem or (listed.problem.message if listed.problem else "")
    return {
        "number": partition.number,
        "size": partition.geometry.size,
        "block": partition.geometry.block,
        "writable": not partition.problem and partition.geometry.erasing != "never",
        "problem": one_line(problem),
        "image_size": partition.image_size,
        "name": metadata and metadata.name and one_line(metadata.name),
        "version": metadata and metadata.version and one_line(metadata.version),
        "files": [_file_document(path, file.size) for path, file in files(listed.root)] if listed.root else None,
    }
