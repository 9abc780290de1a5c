"""A manifest's source to the calls in it, as plain data: nothing that is read is run."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from romfs_manifest.errors import ManifestError, Place

if TYPE_CHECKING:
    from pathlib import Path

MAX_MANIFEST = 64 * 1024
"""Bytes of a manifest, at most; it bounds how deep its syntax tree can be, too."""

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | None"
"""What an argument can be; lists are tuples here."""


class Call(NamedTuple):
    """One call: the function's name, its arguments as they are written, and where it stands."""

    function: str
    positional: tuple[Value, ...]
    keywords: dict[str, Value]
    place: Place


_DATA = "A manifest is data here: write out the calls, with their values; nothing in it is run."
_VARIABLE = "Write one string, with $(NAME) for a part that changes, and give that variable a value."
_HINTS = {
    ast.JoinedStr: _VARIABLE,
    ast.BinOp: _VARIABLE,
    ast.Attribute: "Methods and the options of an include decide nothing here: write out the calls that are wanted.",
    ast.Name: "Write text in quotes, and for a path that changes $(NAME) in it; give that variable a value.",
    ast.Constant: "There are strings, numbers, True, False, None and lists of them; notes follow a '#'.",
}
_WORDS = {
    ast.Import: "'import'",
    ast.ImportFrom: "'import'",
    ast.If: "'if'",
    ast.For: "'for'",
    ast.AsyncFor: "'for'",
    ast.While: "'while'",
    ast.With: "'with'",
    ast.AsyncWith: "'with'",
    ast.Try: "'try'",
    ast.FunctionDef: "'def'",
    ast.AsyncFunctionDef: "'def'",
    ast.ClassDef: "'class'",
    ast.Assign: "an assignment",
    ast.AnnAssign: "an assignment",
    ast.AugAssign: "an assignment",
    ast.NamedExpr: "an assignment",
    ast.Assert: "'assert'",
    ast.Raise: "'raise'",
    ast.Delete: "'del'",
    ast.Pass: "'pass'",
    ast.Return: "'return'",
    ast.Lambda: "'lambda'",
    ast.Await: "'await'",
    ast.IfExp: "'if'",
    ast.BoolOp: "an operator",
    ast.BinOp: "an operator",
    ast.UnaryOp: "an operator",
    ast.Compare: "a comparison",
    ast.JoinedStr: "an f-string",
    ast.Starred: "'*'",
    ast.Dict: "a dictionary",
    ast.Set: "a set",
    ast.ListComp: "a comprehension",
    ast.Attribute: "an attribute",
    ast.Subscript: "an index",
    ast.Call: "the result of a call",
    ast.Constant: "such a value",
}


def parse(data: bytes, path: Path) -> tuple[Call, ...]:
    """Return the calls of the manifest ``path``, whose bytes are ``data``.

    Raises ManifestError, with its place, for anything but calls of a name with literal arguments.
    """
    text = _decoded(data, path)
    source = _Source(path, re.split(r"\r\n|\r|\n", text))
    return tuple(source.call(statement) for statement in _tree(text, path).body)


def syntax_tree(text: str) -> ast.Module:
    """Parse Python, however hostile; what it warns of is for those who run it. Raises SyntaxError or ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (RecursionError, MemoryError) as error:
            raise ValueError("it is nested too deep") from error


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(path, data.count(b"\n", 0, error.start) + 1)
        raise ManifestError("the manifest is not valid UTF-8", hint="Save it as UTF-8.", place=place) from None


def _tree(text: str, path: Path) -> ast.Module:
    try:
        return syntax_tree(text)
    except SyntaxError as error:
        place = Place(path, max(error.lineno or 1, 1), max(error.offset or 1, 1))
        raise ManifestError(f"this is not Python: {error.msg}", hint=_DATA, place=place) from None
    except ValueError as error:
        raise ManifestError(f"this is not Python: {error}", hint=_DATA, place=Place(path, 1)) from None


class _Source(NamedTuple):
    """Where a manifest's nodes stand: its path and its lines."""

    path: Path
    lines: list[str]

    def call(self, statement: ast.stmt) -> Call:
        node = statement.value if isinstance(statement, ast.Expr) else statement
        if not isinstance(node, ast.Call):
            raise self.unsupported(node)
        if not isinstance(node.func, ast.Name):
            raise self.unsupported(node.func)
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.unsupported(keyword, "'**'")
            if keyword.arg in keywords:
                raise ManifestError(f"{keyword.arg}= is given twice", hint="Remove one.", place=self.place(keyword))
            keywords[keyword.arg] = self.value(keyword.value)
        return Call(node.func.id, tuple(map(self.value, node.args)), keywords, self.place(node))

    def value(self, node: ast.expr) -> Value:
        # Lists nest no deeper than Python's tokenizer lets brackets nest, which is 200.
        if isinstance(node, (ast.List, ast.Tuple)):
            return tuple(map(self.value, node.elts))
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, type(None))):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            number = node.operand.value
            if isinstance(number, (int, float)):
                return -number
        raise self.unsupported(node)

    def place(self, node: ast.expr | ast.stmt | ast.keyword) -> Place:
        """Return where ``node`` begins; syntax trees count columns in bytes, and people in characters."""
        before = self.lines[node.lineno - 1].encode(errors="surrogatepass")[: node.col_offset]
        return Place(self.path, node.lineno, len(before.decode(errors="replace")) + 1)

    def unsupported(self, node: ast.expr | ast.stmt | ast.keyword, what: str = "") -> ManifestError:
        name = f"the name {node.id!r}" if isinstance(node, ast.Name) else "this"
        shown = what or _WORDS.get(type(node), name)
        hint = _HINTS.get(type(node), _DATA)
        return ManifestError(f"{shown} is not supported in a manifest", hint=hint, place=self.place(node))
