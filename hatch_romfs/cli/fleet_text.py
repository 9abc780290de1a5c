"""The results of many boards, in words and in numbers."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from hatch_romfs.cli.show import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from hatch_romfs.fleet.messages import Finished, Found


def describe(finished: Finished) -> str:
    """Return the result of a board in words."""
    match finished.result:
        case "verified" if finished.entry is not None:
            entry = finished.entry
            written = f"{count(entry['blocks'], 'block')} written" if entry["blocks"] else "nothing to write"
            retries = f", {count(entry['retries'], 'retry').replace('retrys', 'retries')}" if entry["retries"] else ""
            return f"verified, {written}, {entry['seconds']:.1f} s{retries}"
        case "done":
            return "has this image already"
        case "failed":
            return f"failed: {finished.reason}"
        case _:
            return "is another board"


def board_line(label: str, board: Found) -> str:
    """Return a line about a board that was found."""
    known = [f"{board.machine}, MicroPython {board.version}"]
    if board.serial_number:
        known.append(f"id:{board.serial_number}")
    if board.unique_id:
        known.append(f"unique ID {board.unique_id}")
    return f"{label}  {', '.join(known)}"


def wrap(text: str, stream: TextIO) -> list[str]:
    """Return the lines of a text: broken between words if ``stream`` is a terminal, all but the first indented."""
    if not stream.isatty():
        return [text]
    return textwrap.wrap(
        text,
        shutil.get_terminal_size().columns,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def count_results(results: Sequence[Finished | None]) -> dict[str, int]:
    """Return how many boards ended in which way."""
    found = Counter("not started" if result is None else result.result for result in results)
    return {
        "verified": found["verified"],
        "done": found["done"],
        "failed": found["failed"],
        "not_started": found["not started"],
    }
