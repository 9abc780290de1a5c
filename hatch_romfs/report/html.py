"""Maps and differences as pages: each is one file that needs no network, and that runs no script but its own.

Names in an image can be hostile. They are data in a JSON element, and become text only; the Content-Security-Policy
of the page allows nothing but its own style and script, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from hatch_romfs.errors import one_line
from hatch_romfs.paths import show_name
from hatch_romfs.report.cells import GROUP_OF, GROUPS
from hatch_romfs.report.image_diff import diff_document
from hatch_romfs.report.rows import blocks_sentence, notes, title

if TYPE_CHECKING:
    from hatch_romfs.report.image_diff import ImageDiff
    from hatch_romfs.report.image_map import ImageMap

PAGE_START: Final = b"<!DOCTYPE html>\n<!-- hatch-romfs -->"
"""The first bytes of a page."""
_SCRIPTS: Final = ("model.js", "treemap.js", "strip.js", "table.js", "map.js", "diff.js", "start.js")
_MODULE_SYNTAX: Final = re.compile(r"^import .*\n|^export ", re.MULTILINE)
"""What makes modules of the scripts, which become one script in a page of a single file."""
_MEMORIES: Final = ("", "flash", "RAM")


def map_page(found: ImageMap, block: int | None = None) -> bytes:
    """Return the page of a map; ``block`` is the size of the erase blocks that it shows."""
    return _page(f"{title(found)[0]}: map", map_data(found, block))


def map_data(found: ImageMap, block: int | None = None) -> dict[str, Any]:
    """Return what ``showMap`` of the page's script takes; ``block`` is the size of erase blocks in bytes."""
    name, subtitle = title(found)
    facts = [("bytes", f"{found.size:,}"), ("files", f"{found.files:,}")]
    if found.partition:
        facts += [("bytes of the partition", f"{found.partition:,}"), ("bytes free", f"{found.free:,}")]
    if found.shared:
        facts.append(("bytes saved by sharing", f"{found.shared:,}"))
    if block:
        facts.append((f"erase blocks of {block:,} bytes", f"{-(-found.size // block):,}"))
    image = _image_data(found)
    image["memories"] = [_MEMORIES.index(cell.memory) for cell in found.cells]
    return {
        "page": "map",
        "name": name,
        "subtitle": subtitle,
        "facts": facts,
        "notes": list(notes(found)),
        "order": list(GROUPS),
        "memory": _MEMORIES,
        "block": block,
        "image": image,
    }


def diff_page(diff: ImageDiff) -> bytes:
    """Return the page of a difference, with both images side by side."""
    document = diff_document(diff)
    names = [title(found)[0] for found in (diff.before, diff.after)]
    name = names[0] if names[0] == names[1] else " → ".join(names)
    facts = [("bytes before", f"{diff.before.size:,}"), ("bytes after", f"{diff.after.size:,}")]
    facts += [(status, f"{len(diff.paths(status)):,}") for status in ("added", "removed", "changed", "moved")]
    data = {
        "page": "diff",
        "name": name,
        "subtitle": "The images are equal, byte for byte." if diff.is_equal else f"{blocks_sentence(diff)}.",
        "facts": facts,
        "before": _image_data(diff.before) | {"title": ", ".join(title(diff.before))},
        "after": _image_data(diff.after) | {"title": ", ".join(title(diff.after))},
        "changes": document["changes"],
        "folders": document["folders"],
        "block": diff.block_size,
        "changed_blocks": diff.changed_blocks,
    }
    return _page(f"{name}: difference", data)


def _image_data(found: ImageMap) -> dict[str, Any]:
    """Return the cells of an image in a compact form: four numbers for each."""
    kinds, paths, parts = _Numbers(), _Numbers(), _Numbers()
    cells: list[int] = []
    for cell in found.cells:
        cells += (cell.size, kinds[cell.kind], paths[one_line(show_name(cell.path))], parts[one_line(cell.part)])
    return {
        "size": found.size,
        "partition": found.partition,
        "groups": GROUP_OF,
        "kinds": list(kinds),
        "paths": list(paths),
        "parts": list(parts),
        "cells": cells,
    }


class _Numbers(dict[str, int]):
    """Gives each text a number, from 0 on."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def _page(page_title: str, data: dict[str, Any]) -> bytes:
    folder = files("hatch_romfs.report") / "page"
    text = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.html", "style.css", *_SCRIPTS)}
    script = '"use strict";\n' + "".join(_MODULE_SYNTAX.sub("", text[name]) for name in _SCRIPTS)
    # In a script element only "<" could end it, or begin a comment.
    payload = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    values = {
        "@SCRIPT_HASH@": _hash(script),
        "@STYLE_HASH@": _hash(text["style.css"]),
        "@TITLE@": html.escape(one_line(page_title)),
        "@STYLE@": text["style.css"],
        "@SCRIPT@": script,
        "@DATA@": payload,
    }
    page = text["page.html"]
    for mark, value in values.items():
        before, _, after = page.partition(mark)
        page = f"{before}{value}{after}"
    return page.encode()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
