"""The syntax tree of a manifest, parsed only if its text cannot produce a deep tree.

CPython 3.10 builds and frees syntax trees recursively in C, without a limit: a long chain of operators crashes the
process. So the text is checked before it is parsed. Only tokens that can nest one node in another are counted.
Brackets and indentation are not among them: CPython's tokenizer limits those to 200 and 100 levels.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError, Place

if TYPE_CHECKING:
    from pathlib import Path

MAX_MANIFEST = 64 * 1024
"""Maximum size of a manifest, in bytes."""
MAX_NESTING = 2000
"""Maximum number of operators, and of other tokens that nest, in a manifest."""

_HINT = "A manifest consists of calls, assignments, 'for', 'if', and 'try'. It is evaluated, never run."
_FORMATTED = re.compile(r"\b[bru]*[ft][bru]*['\"]", re.IGNORECASE)
"""Strings whose text can contain code. If there is one, the text of all strings counts as code."""
_STRING = r"'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_NO_CODE = re.compile(rf"{_STRING}|#[^\n\r]*", re.DOTALL)
_NESTS = re.compile(
    r"[-+*/%@&|^~<>.]|\b(?:not|and|or|if|else|elif|lambda|await|yield|in|is)\b"
    r"|[)\]}'\"](?:[\s\\]|#[^\n\r]*[\n\r])*[(\[]"
)


class Source:
    """The text of a manifest, and places in it."""

    def __init__(self, path: Path, data: bytes) -> None:
        """Decode ``data``; raises ManifestError if it is not UTF-8."""
        self.path = path
        try:
            self.text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = Place(path, data.count(b"\n", 0, error.start) + 1)
            raise ManifestError("the manifest is not valid UTF-8", hint="Save it as UTF-8.", place=place) from None
        self._lines = re.split(r"\r\n|\r|\n", self.text)

    def place(self, node: ast.AST) -> Place:
        """Return where ``node`` begins. Syntax trees count columns in bytes; people count characters."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        text = self._lines[line - 1] if line <= len(self._lines) else ""  # places in f-strings can be wrong
        before = text.encode(errors="surrogatepass")[:offset]
        return Place(self.path, line, len(before.decode(errors="replace")) + 1)

    def parse(self) -> ast.Module:
        """Return the syntax tree; raises ManifestError if the text is not Python or could nest too deeply."""
        if count_nesting(self.text) > MAX_NESTING:
            raise ManifestError(
                f"the manifest has more than {MAX_NESTING:,} operators",
                hint="Write the values out, or split the manifest with include().",
                place=Place(self.path, 1),
            )
        try:
            with warnings.catch_warnings():  # such as of invalid escapes, which matter only to those who run it
                warnings.simplefilter("ignore")
                return ast.parse(self.text)
        except SyntaxError as error:
            place = Place(self.path, max(error.lineno or 1, 1), max(error.offset or 1, 1))
            raise ManifestError(f"invalid syntax: {error.msg}", hint=_HINT, place=place) from None
        except (ValueError, RecursionError, MemoryError) as error:
            text = str(error) or "nested too deeply"
            raise ManifestError(f"invalid syntax: {text}", hint=_HINT, place=Place(self.path, 1)) from None


def count_nesting(text: str) -> int:
    """Return an upper bound of how deeply operators and chained calls can nest in the syntax tree of ``text``."""
    if not _FORMATTED.search(text):
        text = _NO_CODE.sub("''", text)
    return sum(1 for _ in _NESTS.finditer(text))
