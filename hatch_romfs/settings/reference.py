"""The model as a reference: the page ``docs/reference/settings.md``, and the description of single keys.

``python -m hatch_romfs.settings.reference`` prints the page.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.patterns import BUILT_IN, PROJECT_FILES
from hatch_romfs.settings.subtables import Bundle, Linux, ManifestSource, Mpy, Nested, Page, Source
from hatch_romfs.settings.table import Table
from hatch_romfs.settings.types import Converted, Either, ListOf
from romfs_manifest.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_romfs.settings.table import Key, Model
    from hatch_romfs.settings.types import Value

_HEAD = """\
# The table `[tool.romfs]`

Every key: its type, its default, and what it means. This page comes from the model that reads the table, and so does
the JSON schema beside it, which `validate-pyproject` and editors use. `romfs-image settings` prints it, and
`romfs-image settings KEY` prints one key.

Unknown keys, wrong types, and bad values are errors, all reported at once.
"""

_NESTED = """\
## A nested image

`image` of a source is a table. A key that is missing has the value of the image around it.

"""

_PATTERNS = """\
## Patterns

Patterns are those of `.gitignore`. In `sources`, `lib`, and `exclude` they are matched against paths relative to the
source folder, in `alignment` and `mpy.exclude` against paths inside the image. `mpy.exclude` sees the names before
compiling (`.py`), `alignment` those after (`.mpy`). `base-exclude` is matched against paths inside the base.

Always excluded, unless a pattern such as `!*.romfs` includes them again:
{built_in}.

Where the project's own folder is a source, and in a plain folder with a `pyproject.toml`, these are also excluded:
{project_files}.

`-v` lists what these patterns excluded.
"""

_BOARDS = """\
## Boards

What `board` sets, as far as it is known. Keys in the table outrank it: in `alignment` pattern by pattern, and a default
for all files never makes an alignment smaller. `hatch_romfs/settings/boards.toml` cites the source of each fact.
`mpy.arch` is code that the board runs, though it may be able to run more. Firmware that you build may differ.

| board | `size`, by `partition` | `mpy.arch` | `alignment` |
| --- | --- | --- | --- |
"""


class KeyReference(NamedTuple):
    """The description of a key: ``path`` inside the table, and the same fields that its model declares."""

    path: str
    key: Key

    @property
    def model(self) -> type[Model] | None:
        """The table that the key takes, also inside a list, or None."""
        return _table_of(self.key.value)

    def document(self) -> dict[str, Any]:
        """Return the description for machines."""
        return {
            "key": self.path,
            "type": self.key.value.text(),
            "required": self.key.required,
            "default": self.key.default,
            "meaning": self.key.doc,
        }

    def text(self) -> str:
        """Return the description for people, without its inner keys."""
        default = "required" if self.key.required else json.dumps(self.key.default)
        if not self.key.required and self.key.default is None:
            default = "none"
        return f"{self.path}\n  type:    {self.key.value.text()}\n  default: {default}\n  {self.key.doc}"


def describe(path: str) -> list[KeyReference]:
    """Return the description of a key, such as ``mpy.arch``, and then those of its inner keys.

    The path may begin with ``tool.romfs``, and have indices, as it is in messages. Raises SettingsError for a key that
    does not exist.
    """
    model: type[Model] | None = Settings
    names = re.sub(r"\[[^]]*\]", "", path.removeprefix("tool.romfs.")).split(".")
    if names[0] == "images" and len(names) > 2:  # noqa: PLR2004 - images.NAME.KEY is a key of the whole table
        names = names[2:]
    found: KeyReference | None = None
    for name in names:
        known = model.keys if model else {}
        if name not in known:
            above = f" in {found.path}" if found else ""
            raise SettingsError(
                f"there is no key {name!r}{above}{did_you_mean(name, known)}",
                hint="`romfs-image settings` lists every key.",
            )
        found = KeyReference(f"{found.path}.{name}" if found else name, known[name])
        model = found.model
    return [found, *_inner(found)] if found else []


def all_keys() -> list[KeyReference]:
    """Return the description of every key, inner ones included."""
    top = (KeyReference(name, key) for name, key in Settings.keys.items())
    return [entry for reference in top for entry in (reference, *_inner(reference))]


def _inner(reference: KeyReference) -> Iterator[KeyReference]:
    if reference.model is not None:
        for name, key in reference.model.keys.items():
            inner = KeyReference(f"{reference.path}.{name}", key)
            yield inner
            yield from _inner(inner)


def _table_of(value: Value[Any]) -> type[Model] | None:
    """Return the model of a table that is a value, or an option or an item of it."""
    match value:
        case Table():
            return value.model
        case Converted() | ListOf():
            return _table_of(value.value)
        case Either():
            return next(filter(None, map(_table_of, value.options)), None)
        case _:
            return None


def page() -> str:
    """Return the page."""
    sections = [
        _HEAD,
        "## Keys\n\n" + _table(Settings),
        "## A source as a table\n\nAn item of `sources` or `lib` is a folder, or a table with:\n\n" + _table(Source),
        _NESTED + _table(Nested),
        "## `mpy` as a table\n\n" + _table(Mpy),
        "## A manifest as a table\n\n" + _table(ManifestSource),
        "## `linux`\n\n" + _table(Linux),
        "## `bundle`\n\n" + _table(Bundle),
        "## `page`\n\n" + _table(Page),
        _PATTERNS.format(built_in=_code(BUILT_IN), project_files=_code(PROJECT_FILES)),
        _BOARDS + _board_rows(),
    ]
    return "\n".join(sections)


def _code(patterns: Iterable[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)


def _table(model: type[Model]) -> str:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, entry in model.keys.items():
        default = "" if entry.default is None else f"`{json.dumps(entry.default)}`"
        if entry.required:
            default = "required"
        cells = (f"`{name}`", entry.value.text(), default, entry.doc)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _board_rows() -> str:
    rows = []
    for facts in boards().values():
        sizes = ", ".join(partition.get("size", "not known") for partition in facts.partitions)
        alignment = ", ".join(f"`{pattern}`: {size}" for pattern, size in facts.alignment.items())
        rows.append(f"| `{facts.name}` | {sizes} | {facts.arch or ''} | {alignment} |\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
