"""The model as the reference page ``docs/reference/settings.md``.

``python -m hatch_romfs.settings.reference`` prints it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.model import Linux, ManifestSource, Mpy, Nested, Settings, Source
from hatch_romfs.settings.patterns import BUILT_IN

if TYPE_CHECKING:
    from hatch_romfs.settings.table import Model

_HEAD = """\
# The table `[tool.romfs]`

Every key, what it may be, its default, and what it means. This page is made from the model that reads the
table; so is the JSON schema beside it, which `validate-pyproject` and editors use.

Unknown keys, wrong types and bad values are errors, all reported at once.
"""

_PATTERNS = """\
## Patterns

Patterns are those of `.gitignore`. In `sources`, `lib` and `exclude` they are matched against paths relative to
the source folder, in `alignment` and `mpy.exclude` against paths inside the image; `mpy.exclude` sees the names
before compiling (`.py`), `alignment` those after (`.mpy`).

Always left out, unless a pattern such as `!*.romfs` takes them in again:
{built_in}. Where the project's own folder is a source, so are what build tools put there: `/dist`, `/build`, and
`/PKG-INFO` and `/setup.cfg`, which they add to sdists.
"""

_BOARDS = """\
## Boards

What `board` sets, as far as it is known. What the table says itself outranks it: in `alignment` pattern by pattern,
where a boundary for all files is never loosened. `hatch_romfs/settings/boards.toml` cites where each fact was read.
`mpy.arch` is code that the board runs, maybe not the most that it could. Firmware that you build may differ.

| board | `size`, by `partition` | `mpy.arch` | `alignment` |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page."""
    built_in = ", ".join(f"`{pattern}`" for pattern in BUILT_IN)
    sections = [
        _HEAD,
        "## Keys\n\n" + _table(Settings),
        "## A source as a table\n\nAn item of `sources` or `lib` is a folder, or a table with:\n\n" + _table(Source),
        "## An image inside the image\n\n`image` of a source is a table with:\n\n" + _table(Nested),
        "## `mpy` as a table\n\n" + _table(Mpy),
        "## A manifest as a table\n\n" + _table(ManifestSource),
        "## `linux`\n\n" + _table(Linux),
        _PATTERNS.format(built_in=built_in),
        _BOARDS + _boards(),
    ]
    return "\n".join(sections)


def _table(model: type[Model]) -> str:
    rows = ["| key | must be | default | meaning |", "| --- | --- | --- | --- |"]
    for name, entry in model.keys.items():
        default = "required" if entry.required else "" if entry.default is None else f"`{json.dumps(entry.default)}`"
        cells = (f"`{name}`", entry.value.text(), default, entry.doc)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _boards() -> str:
    rows = []
    for known in boards().values():
        sizes = ", ".join(partition.get("size", "not known") for partition in known.partitions)
        alignment = ", ".join(f"`{pattern}`: {boundary}" for pattern, boundary in known.alignment.items())
        rows.append(f"| `{known.name}` | {sizes} | {known.arch or ''} | {alignment} |\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
