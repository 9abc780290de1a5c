"""Maps and differences as Markdown, for the summaries of CI jobs and for comments on pull requests."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from hatch_romfs.errors import one_line
from hatch_romfs.paths import show_name
from hatch_romfs.report.image_diff import STATUSES
from hatch_romfs.report.image_map import by_group, by_kind, entries
from hatch_romfs.report.rows import blocks_sentence, notes, shown_name, sort_key, title, top_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_romfs.report.budget import Budget, Growth
    from hatch_romfs.report.image_diff import Change, ImageDiff
    from hatch_romfs.report.image_map import Entry, ImageMap

_MOST_ROWS: Final = 1000
"""The number of rows of a table: GitHub cuts a summary at 1 MiB."""


def map_markdown(found: ImageMap, budgets: Sequence[Budget] = (), grown: Sequence[Growth] = (), *, sort: str) -> str:
    """Return a map; ``sort`` is the order of files."""
    name, facts = title(found)
    root = entries(found.cells)
    groups = by_group(by_kind(found.cells))
    lines = [f"### {code(name)}", "", f"{facts}."]
    if budgets:
        lines += ["", *_table(("", "budget", "size", "limit", "used"), map(_budget_row, budgets))]
    if grown:
        rows = ((code(row.path or "(image)"), _bytes(row.after), f"{row.after - row.before:+,}") for row in grown)
        lines += ["", *_table(("grown since the baseline", "size", "growth"), rows)]
    top = sorted(top_entries(root), key=sort_key(sort))
    lines += ["", *_table(("path", "size", "share"), (_entry_row(entry, "", found.size) for entry in top))]
    lines += ["", *_table(("part", "size", "share"), (_row(*part, found.size) for part in groups.most_common()))]
    lines += ["", *(f"- {note}" for note in notes(found))]
    files = _files(root, "", sort, found.size)
    lines += ["", *_details("All files", _table(("path", "size", "share"), files))]
    kinds = (_row(*kind, found.size) for kind in by_kind(found.cells).most_common())
    lines += ["", *_details("All kinds of bytes", _table(("kind", "size", "share"), kinds))]
    return "\n".join([*lines, ""])


def diff_markdown(diff: ImageDiff) -> str:
    """Return a difference."""
    names = [title(found) for found in (diff.before, diff.after)]
    lines = [f"### {code(names[1][0])}", ""]
    if diff.is_equal:
        return "\n".join([*lines, "The images are equal, byte for byte.", ""])
    lines += [f"{blocks_sentence(diff)}.", ""]
    sizes = [("image", _bytes(diff.before.size), _bytes(diff.after.size), f"{diff.after.size - diff.before.size:+,}")]
    for folder in diff.folders:
        if folder.path:
            growth = f"{folder.after - folder.before:+,}"
            sizes.append((code(f"{folder.path}/"), _bytes(folder.before), _bytes(folder.after), growth))
    lines += _table(("size", "before", "after", "growth"), sizes)
    changes = [change for change in diff.changes if change.status != "moved"]
    changes.sort(key=lambda change: STATUSES.index(change.status))
    if changes:
        heading = ("", "path", "before", "after", "growth")
        lines += ["", *_table(heading, map(_change_row, changes))]
    moved = diff.paths("moved")
    if moved:
        rows = ((code(path),) for path in moved)
        lines += ["", *_details(f"{len(moved):,} moved, with the same bytes", _table(("path",), rows))]
    return "\n".join([*lines, ""])


def code(text: str) -> str:
    """Return a name as code that no name can break out of, on one line, also in a table."""
    text = one_line(show_name(text))
    if "`" in text or not text.strip() or text != text.strip():
        entities = "".join(char if char.isalnum() else f"&#{ord(char)};" for char in text)
        return f"<code>{entities}</code>"
    return f"`{text}`".replace("|", "\\|")


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a table. The first column is text, and the second if the first has no heading; the rest are numbers."""
    text = 2 if headings[0] == "" else 1
    rules = ["---" if number < text else "---:" for number in range(len(headings))]
    lines = [f"| {' | '.join(headings)} |", f"| {' | '.join(rules)} |"]
    more = 0
    for number, row in enumerate(rows):
        if number < _MOST_ROWS:
            lines.append(f"| {' | '.join(row)} |")
        else:
            more += 1
    return [*lines, *(["", f"and {more:,} more"] if more else [])]


def _details(summary: str, lines: list[str]) -> list[str]:
    return [f"<details><summary>{escape(summary)}</summary>", "", *lines, "", "</details>"]


def _bytes(size: int | None) -> str:
    return "" if size is None else f"{size:,}"


def _row(name: str, size: int, total: int) -> tuple[str, str, str]:
    return name, _bytes(size), f"{size / total:.1%}"


def _entry_row(entry: Entry, folder: str, total: int) -> tuple[str, str, str]:
    return _row(code(f"{folder}{shown_name(entry)}"), entry.size, total)


def _files(entry: Entry, folder: str, sort: str, total: int) -> Iterator[tuple[str, str, str]]:
    for child in sorted(entry.children.values(), key=sort_key(sort)):
        yield _entry_row(child, folder, total)
        yield from _files(child, f"{folder}{show_name(child.name)}/", sort, total)


def _budget_row(budget: Budget) -> tuple[str, ...]:
    mark = "❌" if budget.is_exceeded else "✅"
    used = f"{budget.size / budget.limit:.0%}"
    return mark, code(budget.pattern), _bytes(budget.size), _bytes(budget.limit), used


def _change_row(change: Change) -> tuple[str, ...]:
    growth = (change.after or 0) - (change.before or 0)
    return change.status, code(change.path), _bytes(change.before), _bytes(change.after), f"{growth:+,}"
